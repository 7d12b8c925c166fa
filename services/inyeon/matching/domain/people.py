"""Who somebody is, as the token says, and what moderation says of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from inyeon.matching.domain.refusals import WishRefused

COUNTRY_CODES = 26 * 26
"""Two capital letters; ISO 3166-1 alpha-2 assigns 249 of them."""


class AgeBand(IntEnum):
    """Declared age band. An unknown one might be either, so it meets nobody."""

    UNKNOWN = 0
    MINOR = 1
    ADULT = 2


class Gender(IntEnum):
    """Declared gender; never guessed."""

    UNKNOWN = 0
    FEMALE = 1
    MALE = 2
    OTHER = 3


class Attention(IntEnum):
    """Whether somebody is there and looks, as their device sees it."""

    PRESENT = 1
    DISTRACTED = 2
    AWAY = 3


class Verdict(IntEnum):
    """Newest recorded verdict of moderation. Without one the safety pass alone speaks."""

    NONE = 0
    CLEAR = 1
    UNSURE = 2
    PROTECT = 3

    @property
    def lets_meet(self) -> bool:
        """Nothing recorded says that this person must not be shown."""
        return self in (Verdict.NONE, Verdict.CLEAR)


@dataclass(frozen=True, slots=True)
class Person:
    """Facts from signed claims; they never come from a wish."""

    user_id: str
    age_band: AgeBand
    country: str
    """ISO 3166-1 alpha-2, or empty when not declared."""
    gender: Gender


def country_index(code: str, field: str) -> int:
    """0 to 675 for two capital letters; raises WishRefused (COUNTRY_UNKNOWN) otherwise."""
    if len(code) != 2 or not all("A" <= letter <= "Z" for letter in code):
        raise WishRefused(field, "COUNTRY_UNKNOWN", f"{code!r} is no ISO 3166-1 alpha-2 code")
    return (ord(code[0]) - 65) * 26 + ord(code[1]) - 65
