"""What holds for somebody: the operator's settings, and what their country's policy set adds."""

from __future__ import annotations

from datetime import datetime, timedelta

from inyeon.matching.app.desk import Desk
from inyeon.matching.domain.people import AgeBand, Person
from inyeon.matching.domain.policies import Policy, asked_within_s
from inyeon.matching.domain.tickets import Ticket
from inyeon.runtime.errors import NotAllowed


def policy_of(desk: Desk, country: str) -> Policy:
    """Without the table, the settings alone."""
    if desk.policies is not None:
        return desk.policies.of(country)
    return Policy(desk.accept_within.total_seconds(), desk.starvation_bound_s)


def bound_s(desk: Desk, country: str) -> float:
    """The starvation bound of people of a country; 0: none."""
    if desk.policies is None:
        return desk.starvation_bound_s
    return desk.policies.of(country).starvation_bound_s


def accept_until(desk: Desk, one: Ticket, other: Ticket, now: datetime) -> datetime | None:
    """Until when both must accept a match of these two; None: nobody is asked."""
    policies = [policy_of(desk, ticket.person.country) for ticket in (one, other)]
    within_s = asked_within_s(policies)
    return now + timedelta(seconds=within_s) if within_s else None


def check_age(desk: Desk, person: Person) -> None:
    """Raises NotAllowed (MINORS_NOT_SERVED)."""
    if person.age_band is AgeBand.MINOR and not policy_of(desk, person.country).minors:
        message = "only adults may look for somebody where the person is from"
        raise NotAllowed(message, reason="MINORS_NOT_SERVED", field="token.age_band")
