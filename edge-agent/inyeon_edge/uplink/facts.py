"""What the platform tells a device, in the device's own words. Generated classes end here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from inyeon_protos.common.v1.identity_pb2 import SafetyPass, SignedStatement


class Subject(Enum):
    """Whose picture."""

    MYSELF = "myself"
    PARTNER = "partner"


class Action(Enum):
    """What a directive orders."""

    PROTECT = "PROTECT"
    CLEAR = "CLEAR"
    WARN = "WARN"
    END = "END"


@dataclass(frozen=True, slots=True)
class Statement:
    """A signed statement that the device only carries."""

    key_id: str
    payload: bytes
    signature: bytes

    @classmethod
    def of(cls, message: SignedStatement) -> Statement:
        """From the wire."""
        return cls(message.key_id, message.payload, message.signature)

    def message(self) -> SignedStatement:
        """For the wire."""
        return SignedStatement(key_id=self.key_id, payload=self.payload, signature=self.signature)


@dataclass(frozen=True, slots=True)
class Pass:
    """A safety pass as the device keeps it."""

    statement: Statement
    ends_at_s: float
    """Monotonic time after which it counts no more."""

    @classmethod
    def received(cls, message: SignedStatement, monotonic_s: float) -> Pass:
        """Its life is the span between its two stamps: the device's wall clock may be wrong."""
        content = SafetyPass.FromString(message.payload)
        life_s = (content.expires_at.ToNanoseconds() - content.issued_at.ToNanoseconds()) / 1e9
        return cls(Statement.of(message), monotonic_s + life_s)


@dataclass(frozen=True, slots=True)
class Linked:
    """A conversation with the platform is open."""

    stream: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something failed; `retry_in_s` is when it is tried again, -1 where it is not."""

    code: str
    reason: str
    field: str
    message: str
    stream: str = ""
    retry_in_s: float = -1.0


@dataclass(frozen=True, slots=True)
class VerdictTold:
    """The verdict in force for my picture: CLEAR, UNSURE, PROTECT or UNSPECIFIED."""

    verdict: str
    reason: str
    policy_version: str


@dataclass(frozen=True, slots=True)
class DirectiveTold:
    """An order of the platform."""

    action: Action
    subject: Subject
    reason: str
    match_id: str
    policy_version: str
    directive_id: str = ""


@dataclass(frozen=True, slots=True)
class PolicyTold:
    """The policy in force: a class mean at or above its bound is covered at once."""

    name: str
    version: str
    cover_at: dict[str, float]


@dataclass(frozen=True, slots=True)
class PassTold:
    """A safety pass came after having none."""


@dataclass(frozen=True, slots=True)
class Queued:
    """My ticket waits."""

    reason: str
    candidates: int


@dataclass(frozen=True, slots=True)
class Paused:
    """My ticket waits and nobody is proposed to it."""

    reason: str


class Attention(Enum):
    """Whether the person is there and looks."""

    PRESENT = "PRESENT"
    DISTRACTED = "DISTRACTED"
    """In the picture, busy with something else."""
    AWAY = "AWAY"


@dataclass(frozen=True, slots=True)
class Proposed:
    """Somebody was found, and both are asked."""

    match_id: str
    partner_id: str
    reasons: tuple[Explanation, ...]
    answer_within_s: float
    accepted: bool
    """This device has said yes already."""


@dataclass(frozen=True, slots=True)
class WideningOffer:
    """My ticket has waited long: what I could drop. Only the person drops anything."""

    ticket_id: str
    filters: tuple[str, ...]
    """GENDERS, COUNTRIES or COMMON_LANGUAGE, the most helpful first; empty: none stands in the
    way."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One reason of a match."""

    reason: str
    strength: float
    detail: str


@dataclass(frozen=True, slots=True)
class Matched:
    """Somebody was found."""

    match_id: str
    partner_id: str
    reasons: tuple[Explanation, ...]
    offers: bool
    grant: Statement


@dataclass(frozen=True, slots=True)
class GrantRenewed:
    """The grant of the live match, newer."""

    match_id: str
    grant: Statement


@dataclass(frozen=True, slots=True)
class MatchOver:
    """The match is over."""

    match_id: str
    reason: str
    by_me: bool


@dataclass(frozen=True, slots=True)
class Cancelled:
    """My ticket is gone: CANCELLED, EXPIRED or SANCTIONED."""

    reason: str


@dataclass(frozen=True, slots=True)
class CaptionTold:
    """What the partner said, in my language where a tier could translate it."""

    author_id: str
    segment_id: str
    revision: int
    text: str
    tier: str
    untranslated: bool
    final: bool
    source_language: str
    target_language: str
    screen: str = "UNSPECIFIED"
    """CLEAR, SENSITIVE, WITHHELD, UNSCREENED; UNSPECIFIED where nobody screens."""
    screen_reason: str = ""

    @property
    def hidden(self) -> bool:
        """The text is not for showing: behind a tap where it is SENSITIVE, gone where WITHHELD. A
        mark that this agent does not know yet hides it too.
        """
        return self.screen not in ("CLEAR", "UNSCREENED", "UNSPECIFIED")

    @property
    def shown(self) -> str:
        """What to show without being asked."""
        return f"[hidden: {self.screen_reason}]" if self.hidden else self.text


@dataclass(frozen=True, slots=True)
class Said:
    """The partner's device has my line, or the match ended."""

    segment_id: str
    sequence: int


@dataclass(frozen=True, slots=True)
class ConversationOver:
    """No more captions in this match."""

    match_id: str
    reason: str


Fact: TypeAlias = (
    Linked
    | Trouble
    | VerdictTold
    | DirectiveTold
    | PolicyTold
    | PassTold
    | Queued
    | WideningOffer
    | Proposed
    | Paused
    | Matched
    | GrantRenewed
    | MatchOver
    | Cancelled
    | CaptionTold
    | Said
    | ConversationOver
)
