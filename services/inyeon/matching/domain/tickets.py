"""What somebody looks for, and the ticket that says so. Both never change once made."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from inyeon.matching.domain.filters import Filter, WideningStep, check_plan
from inyeon.matching.domain.interests import Interests
from inyeon.matching.domain.languages import MAX_LEVEL, SpokenLanguage, tag_code
from inyeon.matching.domain.people import Gender, Person, country_index
from inyeon.matching.domain.refusals import WishRefused

MAX_LANGUAGES = 8
MAX_COUNTRIES = 250


class TicketEnd(Enum):
    """How a ticket ended. The first one wins."""

    MATCHED = "MATCHED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    SANCTIONED = "SANCTIONED"
    MOVED = "MOVED"
    """It waits on in another pool, under another id."""
    WIDENED = "WIDENED"
    """It waits on under another id: its person dropped filters."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom somebody looks for."""

    languages: tuple[SpokenLanguage, ...]
    """Best first, 1 to 8, none twice."""
    genders: frozenset[Gender]
    """Wanted; empty: any."""
    countries: frozenset[str]
    """Wanted; empty: any."""
    interests: Interests
    translation_welcome: bool
    widening: tuple[WideningStep, ...] = ()
    """The only thing that ever relaxes a filter; each filter at most once."""

    def __post_init__(self) -> None:
        """Raises WishRefused naming the field."""
        _check_languages(self.languages)
        _check_genders(self.genders)
        _check_countries(self.countries)
        check_plan(self.widening)

    def after(self, waited_s: float) -> Wish:
        """The wish in force after waiting so long, pauses not counted, by its own plan."""
        return self.without(
            frozenset(step.drops for step in self.widening if step.after_s <= waited_s)
        )

    def without(self, dropped: frozenset[Filter]) -> Wish:
        """The wish with these filters dropped; itself where nothing of it is."""
        if not dropped & self.filters:
            return self
        return replace(
            self,
            genders=frozenset() if Filter.GENDERS in dropped else self.genders,
            countries=frozenset() if Filter.COUNTRIES in dropped else self.countries,
            translation_welcome=self.translation_welcome or Filter.COMMON_LANGUAGE in dropped,
        )

    @property
    def filters(self) -> frozenset[Filter]:
        """What the person could drop of it."""
        here = {
            Filter.GENDERS: bool(self.genders),
            Filter.COUNTRIES: bool(self.countries),
            Filter.COMMON_LANGUAGE: not self.translation_welcome,
        }
        return frozenset(one for one, narrows in here.items() if narrows)

    def next_widening_s(self, waited_s: float) -> float:
        """The waiting time of the next step after `waited_s`; inf for none."""
        due = [step.after_s for step in self.widening if step.after_s > waited_s]
        return min(due, default=math.inf)


@dataclass(frozen=True, slots=True)
class Ticket:
    """Somebody waits."""

    ticket_id: str
    person: Person
    wish: Wish
    pool: str
    created_at: datetime
    """Waiting time counts from here; credit from an earlier ticket moves it back."""
    paused_s: float = 0.0
    """Pauses so far, not counted as waiting."""
    session_id: str = ""
    device: str = ""
    """Keyed hash of the device's key; empty: unknown."""
    waited_s: float = 0.0
    """Waited when it was last written to the log, pauses not counted. It needs no clock: replicas'
    clocks may differ by minutes."""

    @property
    def user_id(self) -> str:
        """Whose ticket."""
        return self.person.user_id


def _check_languages(languages: tuple[SpokenLanguage, ...]) -> None:
    if not 1 <= len(languages) <= MAX_LANGUAGES:
        raise WishRefused(
            "wish.languages", "LANGUAGE_COUNT", f"{len(languages)} languages, not 1 to 8"
        )
    for number, spoken in enumerate(languages):
        tag_code(spoken.tag, f"wish.languages[{number}].tag")
        if not 1 <= spoken.level <= MAX_LEVEL:
            raise WishRefused(
                f"wish.languages[{number}].level", "LANGUAGE_LEVEL", f"{spoken.level} is not 1 to 5"
            )
    if len({spoken.tag for spoken in languages}) < len(languages):
        raise WishRefused("wish.languages", "LANGUAGE_REPEATED", "a language is named twice")


def _check_genders(genders: frozenset[Gender]) -> None:
    if Gender.UNKNOWN in genders:
        raise WishRefused("wish.genders", "GENDER_UNKNOWN", "an undeclared gender cannot be wanted")


def _check_countries(countries: frozenset[str]) -> None:
    if len(countries) > MAX_COUNTRIES:
        raise WishRefused(
            "wish.countries", "COUNTRY_COUNT", f"{len(countries)} countries, more than 250"
        )
    for code in countries:
        country_index(code, "wish.countries")
