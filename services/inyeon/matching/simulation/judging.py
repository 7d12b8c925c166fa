"""May these two meet? Written plainly and apart from the engine, so that one judges the other."""

from __future__ import annotations

from inyeon.matching.domain.languages import Routes
from inyeon.matching.domain.people import AgeBand, Person
from inyeon.matching.domain.tickets import Ticket, Wish


def may_meet(one: Ticket, other: Ticket, routes: Routes) -> bool:
    """Every gate between two people but blocks and rematches."""
    return (
        one.user_id != other.user_id
        and one.person.age_band is other.person.age_band is not AgeBand.UNKNOWN
        and wants(one.wish, other.person)
        and wants(other.wish, one.person)
        and can_talk(one.wish, other.wish, routes)
    )


def wants(wish: Wish, person: Person) -> bool:
    """Gender and country are as wished."""
    return (not wish.genders or person.gender in wish.genders) and (
        not wish.countries or person.country in wish.countries
    )


def can_talk(one: Wish, other: Wish, routes: Routes) -> bool:
    """A language in common, or a translation that both welcome."""
    mine = {spoken.tag for spoken in one.languages}
    theirs = {spoken.tag for spoken in other.languages}
    if mine & theirs:
        return True
    translated = one.translation_welcome and other.translation_welcome
    return translated and any(routes.between(a, b) for a in mine for b in theirs)


def similarity(one: Wish, other: Wish) -> float:
    """Cosine of the interests, at least 0."""
    return max(0.0, float(one.interests.direction @ other.interests.direction))
