"""The device as one state machine: looking, matched, in a call, over, looking again.

Everything here runs in the loop's thread. Local safety comes first: covers by the device itself act
in the picture threads and are only told here; the platform can add a cover and take its own away.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Literal

from inyeon_edge.agent.commands import (
    Answer,
    Attend,
    Command,
    Leave,
    Look,
    Say,
    Stats,
    Stop,
    Switch,
    Widen,
)
from inyeon_edge.agent.covers import Cause, Covers
from inyeon_edge.agent.meeting import Meeting
from inyeon_edge.agent.report import Report
from inyeon_edge.agent.seams import PartnerPicture, Picture
from inyeon_edge.errors import EdgeError, SourceError, UndecodableSource
from inyeon_edge.uplink import facts
from inyeon_edge.uplink.clock import Clock
from inyeon_edge.uplink.facts import Action, Subject
from inyeon_edge.uplink.observe import Observe
from inyeon_edge.uplink.seek import Seek
from inyeon_edge.vision.results import Presence
from inyeon_protos.moderation.v1.safety_pb2 import ObservationWindow

LINES_LIMIT = 512  # lines typed before anybody is there to hear them
TROUBLE_EVERY_S = 10.0  # the same trouble of the same stream is told no more often
Accepts = Literal["always", "never", "ask"]
"""What to answer where both are asked before they meet."""
PRESENT = (Presence.ALONE, Presence.SEVERAL)


@dataclass(slots=True)
class Parts:
    """What the device is made of."""

    observe: Observe
    seek: Seek | None
    picture: Picture
    partner: PartnerPicture
    meet: Callable[[facts.Matched, Callable[[str], None]], Meeting]
    figures: Callable[[], dict[str, float]]
    use_policy: Callable[[Mapping[str, float]], None]
    use_verdict: Callable[[bool], None]


class Device:
    """Obeys facts of the platform, what is seen, and commands. `wire` comes once, before all
    else."""

    def __init__(
        self, report: Report, clock: Clock, again: bool = True, accepts: Accepts = "always"
    ) -> None:
        self._report, self._clock, self._again = report, clock, again
        self._accepts = accepts
        self._covers = Covers(self._tell_cover)
        self._parts: Parts | None = None
        self._meeting: Meeting | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._lines: deque[Say] = deque()
        self._presence = Presence.UNKNOWN
        self._verdict: facts.VerdictTold | None = None
        self._waiting: facts.Fact | None = None
        self._heard: deque[str] = deque(maxlen=64)
        self._troubles: dict[tuple[str, str], float] = {}
        self._left = False
        self._distracted = False
        self._offer: facts.WideningOffer | None = None
        self.failure: EdgeError | None = None
        self.stopped = asyncio.Event()

    def wire(self, parts: Parts) -> None:
        """Gives the device its parts."""
        self._parts = parts

    @property
    def parts(self) -> Parts:
        """The parts; LookupError before `wire`."""
        if self._parts is None:
            raise LookupError("the device is not wired")
        return self._parts

    @property
    def meeting(self) -> Meeting | None:
        """The live match."""
        return self._meeting

    def attention(self) -> facts.Attention:
        """Whether the person is in my picture, and looks as far as whoever runs the agent says:
        the agent itself follows nobody's eyes."""
        if self._presence not in PRESENT:
            return facts.Attention.AWAY
        return facts.Attention.DISTRACTED if self._distracted else facts.Attention.PRESENT

    # what is seen

    def saw_window(self, window: ObservationWindow) -> None:
        """A window is complete, of my picture or of the partner's."""
        self.parts.observe.see(window)

    def saw_presence(self, presence: Presence) -> None:
        """Presence changed."""
        self._presence = presence
        if presence is not Presence.UNKNOWN:
            self._report.presence(presence.value)
        self._beat_soon()

    def covered_locally(self, on: bool, reason: str) -> None:
        """My own device covers my picture, or does so no more."""
        self._covers.set(Subject.MYSELF, Cause.LOCAL, on, reason)

    def covered_incoming(self, on: bool, reason: str) -> None:
        """My device covers what arrives, or does so no more."""
        if self._meeting is not None:
            self._covers.set(Subject.PARTNER, Cause.INCOMING, on, reason)

    def blurred(self, frames: int) -> None:
        """So many frames were segmented and blurred."""
        self._report.blurred(frames)

    def source_failed(self, error: SourceError, at_start: bool) -> None:
        """The source gives no picture; it is tried again, unless it never gave one that can be
        read: then the agent ends."""
        if at_start and isinstance(error, UndecodableSource):
            self.failure = error
            self.stopped.set()
            return
        self._report.error("UNAVAILABLE", error.reason, error.field, str(error))

    # what the platform tells

    def on_fact(self, fact: facts.Fact) -> None:
        """Obeys one fact."""
        match fact:
            case facts.Linked():
                self._on_linked(fact)
            case facts.Trouble():
                self._on_trouble(fact)
            case facts.VerdictTold():
                self._on_verdict(fact)
            case facts.DirectiveTold():
                self._on_directive(fact)
            case facts.PolicyTold():
                self.parts.use_policy(fact.cover_at)
            case facts.PassTold():
                self._beat_soon()
            case facts.CaptionTold():
                self._report.caption(fact)
            case facts.Said():
                self._report.said(fact)
            case facts.ConversationOver():
                pass  # Seek says how and when the match ended
            case _:
                self._on_match_fact(fact)

    def _on_match_fact(self, fact: facts.Fact) -> None:
        match fact:
            case facts.Queued():
                self._on_waiting(fact, lambda: self._report.queued(fact))
            case facts.Paused():
                self._on_waiting(fact, lambda: self._report.paused(fact.reason))
            case facts.WideningOffer():
                self._offer = fact
                self._report.widening_offer(fact)
            case facts.Proposed():
                self._on_proposed(fact)
            case facts.Cancelled():
                self._waiting = None
                self._report.cancelled(fact.reason)
            case facts.Matched():
                self._on_matched(fact)
            case facts.GrantRenewed():
                self._on_renewed(fact)
            case facts.MatchOver():
                self._on_match_over(fact)

    def _on_linked(self, fact: facts.Linked) -> None:
        self._troubles = {key: at for key, at in self._troubles.items() if key[0] != fact.stream}
        self._report.linked(fact.stream, fact.epoch)

    def _on_trouble(self, fact: facts.Trouble) -> None:
        key, now_s = (fact.stream, fact.reason), self._clock.monotonic()
        if now_s - self._troubles.get(key, -TROUBLE_EVERY_S) >= TROUBLE_EVERY_S:
            self._troubles[key] = now_s
            self._report.error(fact.code, fact.reason, fact.field, fact.message)

    def _on_verdict(self, fact: facts.VerdictTold) -> None:
        if fact != self._verdict:
            self._verdict = fact
            self._report.verdict(fact)
        self.parts.use_verdict(fact.verdict == "CLEAR")
        if fact.verdict == "PROTECT":
            self._protect(Subject.MYSELF, True, fact.reason)
        elif fact.verdict == "CLEAR":
            self._protect(Subject.MYSELF, False, fact.reason)

    def _on_directive(self, fact: facts.DirectiveTold) -> None:
        is_new = not fact.directive_id or fact.directive_id not in self._heard
        self._heard.append(fact.directive_id)
        if fact.action in (Action.PROTECT, Action.CLEAR):
            self._protect(fact.subject, fact.action is Action.PROTECT, fact.reason)
        elif fact.action is Action.END:
            self._end_call(fact.match_id)
        if is_new:
            self._report.told(fact)

    def _on_waiting(self, fact: facts.Fact, tell: Callable[[], None]) -> None:
        if fact != self._waiting:
            self._waiting = fact
            tell()

    def _on_proposed(self, fact: facts.Proposed) -> None:
        """Answers as the settings say; `ask` leaves it to a command."""
        self._waiting = None
        if fact.accepted:
            return
        self._report.proposed(fact)
        if self._accepts != "ask" and self.parts.seek is not None:
            self.parts.seek.answer(fact.match_id, yes=self._accepts == "always")

    def _on_matched(self, fact: facts.Matched) -> None:
        self._waiting = None
        self._finish_meeting()
        self._report.matched(fact)
        self._meeting = self.parts.meet(fact, self._call_failed)
        self._meeting.begin()
        while self._lines:
            self._say(self._lines.popleft())

    def _on_renewed(self, fact: facts.GrantRenewed) -> None:
        if self._meeting is not None and self._meeting.matched.match_id == fact.match_id:
            self._later(self._meeting.renew(fact.grant))

    def _on_match_over(self, fact: facts.MatchOver) -> None:
        self._report.match_over(fact)
        self._finish_meeting()
        if self._again and not self._left and self.parts.seek is not None:
            self.parts.seek.look()

    # commands

    def command(self, command: Command) -> None:
        """Does what the person, or whoever runs the agent, wants."""
        try:
            self._do(command)
        except EdgeError as error:
            self._report.error("INVALID_ARGUMENT", error.reason, error.field, str(error))

    def _do(self, command: Command) -> None:
        if isinstance(command, Switch):
            self.parts.picture.switch(command.source)
        elif isinstance(command, Say):
            self._say(command)
        elif isinstance(command, Stats):
            self._report.stats(**self.parts.figures())
        elif isinstance(command, Stop):
            self.stopped.set()
        elif isinstance(command, Attend):
            self._distracted = not command.looks
            self._beat_soon()
        elif isinstance(command, Widen):
            self._widen(command)
        elif isinstance(command, Answer):
            self._answer(command.yes)
        elif self.parts.seek is not None:
            self._left = isinstance(command, Leave)
            if isinstance(command, Look):
                self.parts.seek.look()
            else:
                self.parts.seek.leave()

    def _widen(self, command: Widen) -> None:
        if self._offer is not None and self.parts.seek is not None:
            self.parts.seek.widen(self._offer.ticket_id, command.filters)
            self._offer = None

    def _answer(self, yes: bool) -> None:
        if self.parts.seek is not None and self.parts.seek.proposed_id:
            self.parts.seek.answer(self.parts.seek.proposed_id, yes)

    def _say(self, line: Say) -> None:
        if self._meeting is not None:
            self._meeting.say(line)
        elif len(self._lines) < LINES_LIMIT:
            self._lines.append(line)
        else:
            message = f"{LINES_LIMIT} lines wait already"
            self._report.error("RESOURCE_EXHAUSTED", "OUTBOX_FULL", "text", message)

    # helpers

    def _beat_soon(self) -> None:
        if self.parts.seek is not None:
            self.parts.seek.beat_soon()

    def _end_call(self, match_id: str) -> None:
        meeting = self._meeting
        if meeting is not None and match_id in ("", meeting.matched.match_id):
            meeting.hang_up()

    def _protect(self, subject: Subject, on: bool, reason: str) -> None:
        if subject is Subject.PARTNER and self._meeting is None:
            return
        self._covers.set(subject, Cause.DIRECTIVE, on, reason)
        if subject is Subject.MYSELF:
            self.parts.picture.cover(on)
        else:
            self.parts.partner.cover(on)

    def _tell_cover(self, subject: Subject, on: bool, cause: Cause, reason: str) -> None:
        self._report.cover(subject.value, on, cause.value, reason)

    def _call_failed(self, reason: str) -> None:
        if self.parts.seek is not None:
            self.parts.seek.end_match(reason)

    def _finish_meeting(self) -> None:
        meeting, self._meeting = self._meeting, None
        if meeting is not None:
            self._covers.clear(Subject.PARTNER)
            self.parts.partner.cover(False)
            self._later(meeting.end())

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def finish(self) -> None:
        """Ends what still lives; the agent stops and looks for nobody any more."""
        self._left = True
        self._finish_meeting()
        await asyncio.gather(*self._ending, return_exceptions=True)
