"""What the agent says to whoever runs it: one event a line for machines, short lines for people."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterable
from typing import Any, Protocol, TextIO

from inyeon_edge.uplink.facts import (
    CaptionTold,
    DirectiveTold,
    Explanation,
    Matched,
    MatchOver,
    Proposed,
    Queued,
    Said,
    VerdictTold,
    WideningOffer,
)

Event = dict[str, Any]


class Sink(Protocol):
    """Where events go. Called from any thread."""

    def emit(self, event: Event) -> None:
        """Takes one event; never raises, never blocks for long."""
        ...


class JsonSink:
    """One JSON object a line. A reader that went away is no reason to fail."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._lock = threading.Lock()  # keeps lines whole

    def emit(self, event: Event) -> None:
        line = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        with self._lock:
            try:
                self._out.write(line + "\n")
                self._out.flush()
            except (BrokenPipeError, ValueError):
                return


class ListSink:
    """Keeps events: the twin for tests."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def of(self, name: str) -> list[Event]:
        """Events of one name, oldest first."""
        return [event for event in self.events if event["event"] == name]


class RichSink:
    """Short lines for a person; counters are left out."""

    QUIET = frozenset({"media", "stats", "said"})

    def __init__(self, console: Any = None) -> None:
        from rich.console import Console

        self._console = console or Console(highlight=False)

    def emit(self, event: Event) -> None:
        if event["event"] in self.QUIET:
            return
        rest = " ".join(_shown(key, value) for key, value in event.items() if key != "event")
        style = "red" if event["event"] == "error" else "bold"
        self._console.print(f"[{style}]{event['event']:<10}[/] {_plain(rest)}")


class Report:
    """The agent's events, each with exactly the fields that readers know."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def started(self, subject: str, preview: str) -> None:
        """The agent runs; `preview` is an address or empty."""
        self._say("started", subject=subject, pid=os.getpid(), preview=preview)

    def previews(self, myself: str, partner: str) -> None:
        """Addresses of the two previews on this machine."""
        self._say("previews", myself=myself, partner=partner)

    def presence(self, state: str) -> None:
        """Presence changed: ALONE, SEVERAL, AWAY or NO_PICTURE."""
        self._say("presence", state=state)

    def blurred(self, frames: int) -> None:
        """So many frames were segmented and their background blurred."""
        self._say("blurred", frames=frames)

    def verdict(self, told: VerdictTold) -> None:
        """The verdict in force for my picture."""
        self._say(
            "verdict",
            verdict=told.verdict,
            reason=told.reason,
            policy_version=told.policy_version,
        )

    def cover(self, subject: str, on: bool, by: str, reason: str) -> None:
        """A picture is covered, or seen again."""
        self._say("cover", subject=subject, on=on, by=by, reason=reason)

    def told(self, told: DirectiveTold) -> None:
        """A directive was shown to the person."""
        self._say(
            "told",
            action=told.action.value,
            subject=told.subject.value,
            reason=told.reason,
        )

    def proposed(self, told: Proposed) -> None:
        """Somebody was found; the answer is due within so many seconds."""
        self._say(
            "proposed",
            match_id=told.match_id,
            partner_id=told.partner_id,
            reasons=_reasons(told.reasons),
            answer_within_s=told.answer_within_s,
        )

    def widening_offer(self, told: WideningOffer) -> None:
        """The ticket has waited long; these filters of the wish the person could drop."""
        self._say("widening_offer", ticket_id=told.ticket_id, filters=list(told.filters))

    def queued(self, told: Queued) -> None:
        """My ticket waits."""
        self._say("queued", reason=told.reason, candidates=told.candidates)

    def paused(self, reason: str) -> None:
        """My ticket waits and nobody is proposed to it."""
        self._say("paused", reason=reason)

    def cancelled(self, reason: str) -> None:
        """My ticket is gone."""
        self._say("cancelled", reason=reason)

    def matched(self, told: Matched) -> None:
        """Somebody was found."""
        self._say(
            "matched",
            match_id=told.match_id,
            partner_id=told.partner_id,
            reasons=_reasons(told.reasons),
            offers=told.offers,
        )

    def call(self, state: str) -> None:
        """How far the call is: connecting, connected, closed or failed."""
        self._say("call", state=state)

    def media(self, sent: int, decoded: int, changed: int, filtered: int) -> None:
        """Frames of this call so far."""
        self._say("media", sent=sent, decoded=decoded, changed=changed, filtered=filtered)

    def caption(self, told: CaptionTold) -> None:
        """What the partner said; a hidden text stands apart, for whoever asks to see it."""
        self._say(
            "caption",
            author_id=told.author_id,
            segment_id=told.segment_id,
            text=told.shown,
            tier=told.tier,
            untranslated=told.untranslated,
            final=told.final,
            source_language=told.source_language,
            target_language=told.target_language,
            screen=told.screen,
            screen_reason=told.screen_reason,
            hidden_text=told.text if told.screen == "SENSITIVE" else "",
        )

    def said(self, told: Said) -> None:
        """The partner's device has my line."""
        self._say("said", id=told.segment_id, sequence=told.sequence, acknowledged=True)

    def match_over(self, told: MatchOver) -> None:
        """The match is over."""
        self._say("match_over", match_id=told.match_id, reason=told.reason, by_me=told.by_me)

    def stats(self, **figures: float) -> None:
        """Figures of this process."""
        self._say("stats", **figures)

    def linked(self, stream: str, epoch: int) -> None:
        """A conversation with the platform is open."""
        self._say("linked", stream=stream, epoch=epoch)

    def error(self, code: str, reason: str, field: str, message: str) -> None:
        """Something failed; the agent goes on unless it also ends."""
        self._say("error", code=code, reason=reason, field=field, message=message)

    def _say(self, event: str, **fields: Any) -> None:
        self._sink.emit({"event": event, **fields})


def _shown(key: str, value: Any) -> str:
    if isinstance(value, list):
        return f"{key}={','.join(_names(value))}"
    return f"{key}={value}"


def _names(reasons: Iterable[Any]) -> list[str]:
    return [str(each["reason"]) for each in reasons]


def _plain(text: str) -> str:
    """Text that rich prints as it is."""
    return text.replace("[", "\\[")


def _reasons(reasons: Iterable[Explanation]) -> list[Event]:
    return [
        {"reason": each.reason, "strength": each.strength, "detail": each.detail}
        for each in reasons
    ]
