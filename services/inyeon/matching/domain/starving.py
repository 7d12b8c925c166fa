"""The starvation bound: nobody waits past it without being offered what they could change."""

from __future__ import annotations

from inyeon.matching.domain.costs import FilterCost
from inyeon.matching.domain.filters import PLANNABLE
from inyeon.matching.domain.news import WideningOffer
from inyeon.matching.domain.pool import Look

FRESH_S = 10.0
"""Costs that are older are no figures of now."""
LATE_S = 5.0
"""So long past the bound an offer waits for its figures: costs of 8 people are worked out a second.
"""


def times(waited_s: float, bound_s: float) -> int:
    """How often somebody has waited up to the bound; 0 where there is none (`bound_s` 0)."""
    return int(waited_s // bound_s) if bound_s > 0 else 0


def is_due(waited_s: float, before: WideningOffer | None, bound_s: float) -> bool:
    """An offer is due at each multiple of the bound; `before` is the newest one of this ticket."""
    offered = 0 if before is None else times(before.waited_s, bound_s)
    return times(waited_s, bound_s) > offered


def offer(
    look: Look, costs: tuple[float, tuple[FilterCost, ...]] | None, now: float, bound_s: float
) -> WideningOffer | None:
    """What to offer somebody for whom it is due; None: their figures are still to come. `costs`:
    when their filters' costs were worked out, and what they are."""
    ticket_id, waited_s = look.ticket.ticket_id, look.waited_s
    if costs is not None and costs[0] + FRESH_S >= now:
        own = tuple(cost for cost in costs[1] if cost.filter in PLANNABLE)
        return WideningOffer(ticket_id, waited_s, own, estimated=True)
    if waited_s % bound_s < min(LATE_S, bound_s / 2):
        return None
    filters = sorted(look.ticket.wish.after(waited_s).filters)
    own = tuple(FilterCost(one, 0, None, None) for one in filters)
    return WideningOffer(ticket_id, waited_s, own, estimated=False)
