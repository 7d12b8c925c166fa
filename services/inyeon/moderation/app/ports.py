"""Seams of moderation's use cases: the device, the ledger, the other replicas, the signer, the
meter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from inyeon.moderation.domain.cases import Case, Decision
from inyeon.moderation.domain.directive import Action, Directive
from inyeon.moderation.domain.observation import Embedding, Window
from inyeon.moderation.domain.opinions import UNDECIDED, Escalated, Judged, Opinion, Source
from inyeon.moderation.domain.policy import Policy
from inyeon.moderation.domain.snapshot import Snapshot
from inyeon.moderation.domain.verdict import Escalation, Transition, Verdict


@dataclass(frozen=True, slots=True)
class SignedPass:
    """A safety pass as it travels: the bytes that were signed and the signature over them."""

    key_id: str
    payload: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """A user's verdict in force, across sessions."""

    verdict: Verdict
    reason: str
    policy_version: str
    changed_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class LiveMatch:
    """Somebody's match, while it lives."""

    match_id: str
    partner_id: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A change of verdict that waits for its commit."""

    transition: Transition
    changed_at: datetime
    match_id: str = ""
    embedding: Embedding | None = None
    """Of the window that moved it; kept with the case that it may open."""


@dataclass(frozen=True, slots=True)
class Raised:
    """An escalation that waits for its commit, with the window that raised it."""

    escalation: Escalation
    window: Window
    raised_at: datetime
    escalation_id: str
    match_id: str = ""
    policy_version: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """An escalation with the opinion on it: what the worker writes down."""

    escalated: Escalated
    opinion: Opinion

    @property
    def case_reason(self) -> str:
        """Reason of the case: the escalation's where models were asked and were unsure, else the
        opinion's own (a match, no answer, nothing to judge)."""
        own = self.opinion.judged.reason
        return (self.escalated.reason or own) if own in UNDECIDED else own


@dataclass(frozen=True, slots=True)
class Banked:
    """A confirmed case as a bank keeps it."""

    entry_id: str
    bank: str
    embedding: Embedding
    case_id: str
    enabled: bool
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Ask:
    """A device was asked for one picture."""

    directive_id: str
    user_id: str
    session_id: str
    escalation_id: str
    match_id: str
    reason: str
    raised_at: datetime
    """When the escalation was raised."""
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One session's part of a group commit: written whole or not at all."""

    user_id: str
    session_id: str
    epoch: int
    through: int
    """Highest sequence that the snapshot has taken in."""
    snapshot: Snapshot
    moved: tuple[Moved, ...]
    raised: tuple[Raised, ...]


@dataclass(frozen=True, slots=True)
class NewReport:
    """A report or a block as the caller made it."""

    request_id: str
    reporter_id: str
    reported_id: str
    match_id: str
    reason: str
    """Reason code, such as REPORTED_NUDITY."""
    note: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What a decision did."""

    case: Case
    verdict: StoredVerdict | None
    """The user's verdict after a dismissal reset it; None where it did not."""


class Device(Protocol):
    """A device's open Observe stream. Calls never wait; a stream that is over takes them and does
    nothing."""

    def told_policy(self, policy: Policy) -> None:
        """The policy in force."""
        ...

    def told_verdict(
        self, verdict: Verdict, reason: str, policy_version: str, at: datetime
    ) -> None:
        """The verdict in force."""
        ...

    def directed(self, directive: Directive) -> None:
        """An order, at once."""
        ...

    def acknowledged(self, through: int, safety_pass: SignedPass | None) -> None:
        """Everything up to `through` is committed."""
        ...

    def superseded(self) -> None:
        """The user observes elsewhere now; ends the stream."""
        ...


class Ledger(Protocol):
    """Moderation's own store. Every method is one transaction and may raise StoreUnavailable."""

    async def stored_verdict(self, user_id: str) -> StoredVerdict | None:
        """The user's verdict; None for somebody new."""
        ...

    async def snapshot(self, session_id: str, user_id: str) -> Snapshot | None:
        """Last committed snapshot of that user's session."""
        ...

    async def commit(self, changes: Sequence[Change]) -> frozenset[str]:
        """Writes snapshots, acknowledged sequences, verdicts with their events, cases and
        escalations.

        Returns the ids of sessions whose epoch was passed elsewhere: nothing of those was written.
        """
        ...

    async def match_of(self, user_id: str) -> LiveMatch | None:
        """The user's live match."""
        ...

    async def were_matched(self, match_id: str, user_id: str, other_id: str) -> bool:
        """The two are or were (within a day) in that match; in any, where `match_id` is empty."""
        ...

    async def report(self, report: NewReport) -> str:
        """Opens or joins a case, records edges both ways; returns the case id. A repeated request
        changes nothing."""
        ...

    async def block(self, user_id: str, blocked_id: str) -> None:
        """Records edges both ways. A repeat changes nothing."""
        ...

    async def cases(
        self, *, open_only: bool | None, size: int, after: str
    ) -> tuple[list[Case], str]:
        """A page of cases, most urgent first, and the token of the next one (empty at the end).

        `open_only`: True open ones, False closed ones, None all. Raises PageRefused.
        """
        ...

    async def decide(self, case_id: str, reviewer: str, decision: Decision, note: str) -> Decided:
        """Closes a case and appends to the hash chain. Raises CaseMissing, CaseClosed."""
        ...

    async def set_bank_entry(self, entry_id: str, *, enabled: bool) -> Banked:
        """Disables or enables a bank entry everywhere. Raises EntryMissing."""
        ...

    async def ask(self, ask: Ask) -> None:
        """Keeps that a picture was asked for, until it expires."""
        ...

    async def take_ask(self, directive_id: str, user_id: str, request_id: str) -> Ask | None:
        """Takes an open ask of that user, once; None for a repeat of the request that took it.
        Raises EvidenceNotAsked."""
        ...

    async def note_opinion(self, answered: Answered) -> None:
        """Publishes an opinion and opens the case that it calls for."""
        ...

    async def audit(self) -> int | None:
        """First sequence of the decision chain that does not hold; None where it is whole."""
        ...

    async def publish(self, policy: Policy, document: bytes) -> bool:
        """Records and publishes a policy version; False where it was published before."""
        ...

    async def forget(self, *, older_than: datetime) -> int:
        """Removes snapshots that nobody touched since, and matches that ended before; returns how
        many rows went."""
        ...


class Neighbours(Protocol):
    """The replica that holds somebody's stream, this one included. Waits at most a second; False
    when nobody took it."""

    async def direct(self, user_id: str, directive: Directive) -> bool:
        """Hands a directive to a user's device."""
        ...

    async def corroborate(self, user_id: str, window: Window) -> bool:
        """Hands a partner's window to the machine of the person it is about."""
        ...


class PassSigner(Protocol):
    """Signs safety passes with moderation's key."""

    def sign(
        self, user_id: str, session_id: str, device_key: str, policy_version: str, at: datetime
    ) -> SignedPass:
        """A pass that lives 30 s from `at`."""
        ...


class Meter(Protocol):
    """What operators count."""

    def window(self, kind: str) -> None:
        """A window: own, partner, or foreign (of no match the sender is in)."""
        ...

    def moved(self, transition: Transition) -> None:
        """A verdict changed."""
        ...

    def directed(self, action: Action) -> None:
        """A directive was sent."""
        ...

    def committed(self, sessions: int, took_s: float) -> None:
        """A group commit is done."""
        ...

    def commit_failed(self) -> None:
        """A group commit failed and will be tried again."""
        ...


class JudgingMeter(Protocol):
    """What operators count of second opinions."""

    def judged(self, source: Source, judged: Judged, took_s: float) -> None:
        """An opinion was given."""
        ...

    def broke(self) -> None:
        """Something failed while models were asked that nobody raised on purpose."""
        ...

    def opened_cases(self, count: int) -> None:
        """Cases were opened or joined by opinions."""
        ...

    def degraded(self, degraded: bool) -> None:
        """The models answer, or do not."""
        ...

    def banked(self, entries: int) -> None:
        """So many bank entries are in force here."""
        ...

    def heard(self, fate: str) -> None:
        """An opinion reached a replica: moved, stayed, elsewhere or stale."""
        ...
