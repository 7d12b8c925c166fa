"""A live match, its reasons, and who is to blame when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from inyeon.matching.domain.languages import SpokenLanguage


class EndReason(IntEnum):
    """Why a match ended, with the numbers of the contract's EndReason."""

    LEFT = 1
    POLICY = 2
    CONNECT_FAILED = 3
    LOST = 4
    REPORTED = 5
    DECLINED = 6
    NOT_ACCEPTED = 7


BY_DEVICE = frozenset({EndReason.LEFT, EndReason.CONNECT_FAILED, EndReason.REPORTED})
"""What a device may end a match with; the platform says the others."""


class MatchReason(IntEnum):
    """Why these two, with the numbers of the contract's MatchReason."""

    INTERESTS = 1
    COMMON_LANGUAGE = 2
    TRANSLATED = 3
    WAITED_LONG = 4


@dataclass(frozen=True, slots=True)
class Explanation:
    """One reason of a match."""

    reason: MatchReason
    strength: float
    """Cosine for INTERESTS, level 1 to 5 for COMMON_LANGUAGE, 1 for TRANSLATED, seconds for
    WAITED_LONG.
    """
    detail: str = ""
    """A tag such as `es`, or a pair such as `en-es`."""


@dataclass(frozen=True, slots=True)
class Side:
    """One person of a match, with what the other may know and what is kept for them."""

    user_id: str
    languages: tuple[SpokenLanguage, ...]
    country: str
    waited_s: float
    """Waiting time that led to this match; returned as credit to somebody who is not to blame for
    its end.
    """


@dataclass(frozen=True, slots=True)
class Chosen:
    """How a pair came about."""

    score_version: str = ""
    """Of the score that chose it; empty: a match of old."""
    propensity: float = 1.0
    """Chance with which its wave chose this pair: exact where the wave explored, that of the arm in
    an experiment."""


@dataclass(frozen=True, slots=True)
class LiveMatch:
    """Two people meet. The first one's device makes the call's offer."""

    match_id: str
    pool: str
    first: Side
    second: Side
    started_at: datetime
    reasons: tuple[Explanation, ...]
    accept_until: datetime | None = None
    """Both must accept until then; None: nobody is asked."""
    accepted: frozenset[str] = frozenset()
    """Who has said yes."""
    chosen: Chosen = Chosen()

    @property
    def agreed(self) -> bool:
        """The two may meet: nobody is asked, or both have said yes."""
        return self.accept_until is None or self.accepted.issuperset(self.users)

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both sides."""
        return self.first, self.second

    @property
    def users(self) -> tuple[str, str]:
        """Both people."""
        return self.first.user_id, self.second.user_id

    def side(self, user_id: str) -> Side:
        """That person's side; raises KeyError for somebody else."""
        for side in self.sides:
            if side.user_id == user_id:
                return side
        raise KeyError(user_id)

    def partner(self, user_id: str) -> Side:
        """The other side; raises KeyError for somebody else."""
        return self.second if self.side(user_id) is self.first else self.first


def credited(match: LiveMatch, reason: EndReason, to_blame: frozenset[str]) -> tuple[Side, ...]:
    """Who gets the waiting time back: nobody when people simply went on, else everybody not to
    blame.
    """
    if reason is EndReason.LEFT:
        return ()
    return tuple(side for side in match.sides if side.user_id not in to_blame)
