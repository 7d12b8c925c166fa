"""What matching tells a device."""

from __future__ import annotations

from dataclasses import dataclass

from inyeon.matching.domain.costs import FilterCost
from inyeon.matching.domain.gates import WaitReason
from inyeon.matching.domain.matches import EndReason, LiveMatch
from inyeon.matching.domain.tickets import TicketEnd


@dataclass(frozen=True, slots=True)
class SignedGrant:
    """A match grant as it travels: the signed bytes and the signature over them."""

    key_id: str
    payload: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Queued:
    """The ticket waits."""

    ticket_id: str
    reason: WaitReason
    waited_s: float
    candidates: int
    costs: tuple[FilterCost, ...] = ()
    """Of the person's own filters, as of some seconds ago; empty where they cost nothing or were
    not worked out yet."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The ticket waits, but nobody is proposed to it."""

    ticket_id: str
    reason: WaitReason
    resumes_in_s: float | None = None
    """None: that depends on something else than time."""


@dataclass(frozen=True, slots=True)
class WideningOffer:
    """The ticket has waited up to the bound: what its person could drop."""

    ticket_id: str
    waited_s: float
    filters: tuple[FilterCost, ...]
    """Of their own, the most helpful first; empty: none stands in the way."""
    estimated: bool
    """False: every filter of the wish, without figures."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """Somebody was found, and both are asked."""

    match: LiveMatch
    answer_within_s: float


@dataclass(frozen=True, slots=True)
class Matched:
    """Somebody was found."""

    match: LiveMatch
    grant: SignedGrant


@dataclass(frozen=True, slots=True)
class GrantRenewed:
    """The match goes on."""

    match_id: str
    grant: SignedGrant


@dataclass(frozen=True, slots=True)
class MatchOver:
    """The match is over."""

    match_id: str
    reason: EndReason
    by_me: bool


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The ticket is gone; an empty id says that there was none."""

    ticket_id: str
    end: TicketEnd


News = Queued | Paused | WideningOffer | Proposed | Matched | GrantRenewed | MatchOver | Cancelled
