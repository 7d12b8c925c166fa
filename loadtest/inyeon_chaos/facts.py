"""What the records of the topics say, as plain facts. Repetitions of one event are left out here:
at least once is the log's promise, and what follows from it is checked in the databases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from inyeon.runtime.log import topics
from inyeon_chaos.evidence import Evidence, LogRecord
from inyeon_protos.events.v1 import events_pb2
from inyeon_protos.moderation.v1 import safety_pb2

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Started:
    """Two people meet. Times are seconds since 1970."""

    match_id: str
    users: tuple[str, str]
    at_s: float
    place: str


@dataclass(frozen=True, slots=True)
class Over:
    """A match is over."""

    match_id: str
    at_s: float
    place: str


@dataclass(frozen=True, slots=True)
class TicketSeen:
    """A ticket waits, or has ended for `reason`."""

    ticket_id: str
    reason: str
    place: str


@dataclass(frozen=True, slots=True)
class VerdictSet:
    """A verdict comes into force. `verdict` without its prefix: CLEAR, UNSURE, PROTECT."""

    user_id: str
    verdict: str
    at_s: float
    version: int
    place: str

    @property
    def bars(self) -> bool:
        """Nobody is paired under it."""
        return self.verdict != "CLEAR"


@dataclass(frozen=True, slots=True)
class EdgeSet:
    """These two never meet."""

    user_id: str
    other_id: str
    at_s: float
    version: int
    place: str


@dataclass(frozen=True, slots=True)
class OutcomeSeen:
    """How a match was for one person."""

    user_id: str
    match_id: str
    place: str


@dataclass(frozen=True, slots=True)
class Escalated:
    """A session needs a second opinion."""

    escalation_id: str
    user_id: str
    place: str


@dataclass(frozen=True, slots=True)
class OpinionSeen:
    """A second opinion."""

    escalation_id: str
    place: str


def started(evidence: Evidence) -> list[Started]:
    """Every match."""
    return [
        Started(e.match_id, (e.user_a, e.user_b), _seconds(e.started_at), r.place)
        for r, e in _events(evidence, topics.MATCHES, events_pb2.MatchLive)
    ]


def over(evidence: Evidence) -> list[Over]:
    """Every end of a match."""
    return [
        Over(e.match_id, _seconds(e.ended_at), r.place)
        for r, e in _events(evidence, topics.MATCHES, events_pb2.MatchEnded)
    ]


def tickets(evidence: Evidence) -> list[TicketSeen]:
    """Every ticket that waited."""
    return [
        TicketSeen(e.ticket_id, "", r.place)
        for r, e in _events(evidence, topics.TICKETS, events_pb2.TicketWaiting)
    ]


def ticket_ends(evidence: Evidence) -> list[TicketSeen]:
    """Every end of a ticket."""
    return [
        TicketSeen(e.ticket_id, e.reason, r.place)
        for r, e in _events(evidence, topics.TICKETS, events_pb2.TicketEnded)
    ]


def verdicts(evidence: Evidence) -> list[VerdictSet]:
    """Every change of a verdict."""
    return [
        VerdictSet(
            e.user_id,
            safety_pb2.Verdict.Name(e.verdict).removeprefix("VERDICT_"),
            _seconds(e.changed_at),
            e.version,
            r.place,
        )
        for r, e in _events(evidence, topics.VERDICTS, events_pb2.VerdictRecorded)
    ]


def edges(evidence: Evidence) -> list[EdgeSet]:
    """Every block and report."""
    return [
        EdgeSet(e.user_id, e.other_id, _seconds(e.recorded_at), e.version, r.place)
        for r, e in _events(evidence, topics.EDGES, events_pb2.EdgeRecorded)
    ]


def outcomes(evidence: Evidence) -> list[OutcomeSeen]:
    """Every outcome."""
    return [
        OutcomeSeen(e.user_id, e.match_id, r.place)
        for r, e in _events(evidence, topics.OUTCOMES, events_pb2.MatchOutcome)
    ]


def escalations(evidence: Evidence) -> list[Escalated]:
    """Every escalation."""
    return [
        Escalated(e.escalation_id, e.user_id, r.place)
        for r, e in _events(evidence, topics.ESCALATIONS, events_pb2.EscalationRaised)
    ]


def opinions(evidence: Evidence) -> list[OpinionSeen]:
    """Every second opinion."""
    return [
        OpinionSeen(e.escalation_id, r.place)
        for r, e in _events(evidence, topics.OPINIONS, events_pb2.OpinionGiven)
    ]


def _events(evidence: Evidence, topic: str, kind: type[M]) -> Sequence[tuple[LogRecord, M]]:
    """Each event once, at its first place. Raises DecodeError for a value that is no such message:
    nothing here writes garbage."""
    found: dict[str, tuple[LogRecord, M]] = {}
    for record in evidence.of(topic, kind.DESCRIPTOR.name):
        if record.value is not None and record.event_id not in found:
            message = kind()
            message.ParseFromString(record.value)
            found[record.event_id] = record, message
    return list(found.values())


def _seconds(moment: object) -> float:
    to_nanoseconds: Callable[[], int] = moment.ToNanoseconds  # type: ignore[attr-defined]
    return to_nanoseconds() / 1e9
