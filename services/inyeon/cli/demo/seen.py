"""What was seen on a device: its events, folded into facts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """A caption as the device showed it."""

    author_id: str
    segment_id: str
    text: str
    tier: str
    untranslated: bool
    final: bool
    source_language: str
    target_language: str
    screen: str = "UNSPECIFIED"
    """How the text screen marked it; the text of a hidden one says so itself."""

    @property
    def mark(self) -> str:
        """Who translated it, or that nobody did, or that nobody screened it."""
        if self.screen == "UNSCREENED":
            return "unscreened"
        return "untranslated" if self.untranslated else self.tier


@dataclass(frozen=True, slots=True)
class Met:
    """A match as the device was told of it."""

    match_id: str
    partner_id: str
    reasons: tuple[tuple[str, float, str], ...]
    at_s: float


@dataclass(slots=True)
class Seen:
    """Everything seen on one device so far. Times are seconds since the demo began."""

    subject: str
    pid: int = 0
    preview: str = ""
    partner_preview: str = ""
    presence: str = "unknown"
    blurred: int = 0
    verdict: str = "unknown"
    verdict_reason: str = ""
    verdicts: list[tuple[float, str, str]] = field(default_factory=list)
    covers: list[tuple[float, str, bool, str, str]] = field(default_factory=list)
    told: list[tuple[float, str, str, str]] = field(default_factory=list)
    wait: str = ""
    waits: list[tuple[float, str]] = field(default_factory=list)
    matches: list[Met] = field(default_factory=list)
    overs: list[tuple[float, str, str]] = field(default_factory=list)
    call: str = ""
    media: dict[str, int] = field(default_factory=dict)
    captions: list[Shown] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    def apply(self, event: Event, at_s: float) -> None:
        """Folds one event in; unknown events are passed over."""
        handler = getattr(self, f"_on_{event.get('event', '')}", None)
        if handler is not None:
            handler(event, at_s)

    @property
    def match_id(self) -> str:
        """The live match, or empty."""
        ended = {match_id for _, match_id, _ in self.overs}
        live = [m.match_id for m in self.matches if m.match_id not in ended]
        return live[-1] if live else ""

    def covered(self, subject: str) -> bool:
        """Is this side's picture of `subject` (myself, partner) covered now?"""
        states = [on for _, whose, on, _, _ in self.covers if whose == subject]
        return bool(states) and states[-1]

    def _on_started(self, event: Event, at_s: float) -> None:
        self.pid = int(event["pid"])

    def _on_previews(self, event: Event, at_s: float) -> None:
        self.preview = _stream(event["myself"])
        self.partner_preview = _stream(event["partner"])

    def _on_presence(self, event: Event, at_s: float) -> None:
        self.presence = str(event["state"])

    def _on_blurred(self, event: Event, at_s: float) -> None:
        self.blurred = int(event["frames"])

    def _on_verdict(self, event: Event, at_s: float) -> None:
        self.verdict, self.verdict_reason = str(event["verdict"]), str(event["reason"])
        self.verdicts.append((at_s, self.verdict, self.verdict_reason))

    def _on_cover(self, event: Event, at_s: float) -> None:
        whose, on, by = str(event["subject"]), bool(event["on"]), str(event["by"])
        self.covers.append((at_s, whose, on, by, str(event.get("reason") or "")))

    def _on_told(self, event: Event, at_s: float) -> None:
        reason = str(event.get("reason") or "")
        self.told.append((at_s, str(event["action"]), str(event["subject"]), reason))

    def _on_queued(self, event: Event, at_s: float) -> None:
        self._waits(str(event["reason"]), at_s)

    def _on_paused(self, event: Event, at_s: float) -> None:
        self._waits(str(event["reason"]), at_s)

    def _on_matched(self, event: Event, at_s: float) -> None:
        reasons = tuple(
            (str(r["reason"]), float(r.get("strength") or 0.0), str(r.get("detail") or ""))
            for r in event["reasons"]
        )
        met = Met(str(event["match_id"]), str(event["partner_id"]), reasons, at_s)
        if all(met.match_id != known.match_id for known in self.matches):
            self.matches.append(met)
            self.media = {}
        self.wait = ""

    def _on_match_over(self, event: Event, at_s: float) -> None:
        self.overs.append((at_s, str(event["match_id"]), str(event["reason"])))

    def _on_call(self, event: Event, at_s: float) -> None:
        self.call = str(event["state"])

    def _on_media(self, event: Event, at_s: float) -> None:
        self.media = {k: int(event[k]) for k in ("sent", "decoded", "changed", "filtered")}

    def _on_caption(self, event: Event, at_s: float) -> None:
        names = [field.name for field in fields(Shown) if field.name in event]
        self.captions.append(Shown(**{name: event[name] for name in names}))

    def _on_said(self, event: Event, at_s: float) -> None:
        if event.get("acknowledged"):
            self.acknowledged.add(str(event["id"]))

    def _on_error(self, event: Event, at_s: float) -> None:
        self.errors.append(f"{event.get('reason', '')}: {event.get('message', '')}")

    def _waits(self, reason: str, at_s: float) -> None:
        if reason != self.wait:
            self.waits.append((at_s, reason))
        self.wait = reason


def _stream(page: object) -> str:
    """The moving picture of a preview page, or empty."""
    return f"{str(page).rstrip('/')}/stream" if page else ""
