"""Why somebody waits: what their own filters cost, worked out for a few people after each wave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.app.desk import Desk
from inyeon.matching.app.policies import bound_s
from inyeon.matching.app.state import tell_state
from inyeon.matching.domain.costs import Crowd, FilterCost, filter_costs, sift, similarity_cost
from inyeon.matching.domain.explaining import similarity
from inyeon.matching.domain.scoring import wanted_similarity
from inyeon.matching.domain.starving import is_due
from inyeon.matching.domain.waves import Wave

COSTED = 8
"""People a second, those who asked first: a look at 4,096 others takes some 0.5 ms, so 4 ms."""
EVERY_S = 1.0
LOOKED_AT = 4096
"""Of more people an even share is looked at, each for several."""
COMPARED = 64
"""People whose interests are compared, those who have waited longest: 1 us each."""
AFTER_S = 5.0
"""Who has waited less is told soon enough; most have met somebody by then."""


async def ask_why(desk: Desk, user_id: str) -> None:
    """Somebody wants to know: they are told after the next wave that works costs out,
    within a second or two. Who does not wait, or is paused,
    is told at once where they stand."""
    now = desk.clock.monotonic()
    waits = desk.hall.pool.of_user(user_id) is not None
    if waits and not desk.hall.pool.look(user_id, now).paused:
        desk.hall.asking.add(user_id)
    else:
        await tell_state(desk, user_id)


def work_out_costs(desk: Desk, wave: Wave) -> None:
    """Renews the costs of those who asked and of those whose costs are oldest, at most once a
    second."""
    hall, now = desk.hall, desk.clock.monotonic()
    if hall.costed_at + EVERY_S > now:
        return
    hall.costed_at = now
    left = _left(wave)
    if not left.size:
        return
    lately, span_s = hall.pool.arrivals.recent(now)
    came = Crowd(lately, np.ones(len(lately), np.int64), np.zeros(len(lately), np.bool_))
    for place in _chosen(desk, wave, left):
        here, others = _here(wave, left, place)
        mine = wave.snapshot.rows[place]
        own = Crowd(lately, came.rivals, lately["arrival"] == mine["arrival"])
        costs = filter_costs(mine, here, own, span_s, desk.rules.routes, desk.wave_every_s)
        costs += _patience(desk, wave, place, others[sift(mine, here, desk.rules.routes).fit()])
        user_id = wave.snapshot.tickets[place].user_id
        hall.costs[user_id] = now, costs
        if user_id in hall.asking:
            hall.asking.discard(user_id)
            hall.told.pop(user_id, None)  # so that it is news


def _left(wave: Wave) -> NDArray[np.int64]:
    """Places of those whom the wave paired with nobody."""
    free = np.ones(len(wave.snapshot), np.bool_)
    free[[place for pair in wave.pairs for place in (pair.one, pair.other)]] = False
    return np.flatnonzero(free)


def _chosen(desk: Desk, wave: Wave, left: NDArray[np.int64]) -> list[int]:
    """Who asked, then whom an offer waits for, then who has no costs or the oldest, of those who
    have waited a while."""
    hall, tickets, waited_s = desk.hall, wave.snapshot.tickets, wave.snapshot.waited_s

    def due(place: int) -> tuple[bool, bool, float]:
        user_id, country = tickets[place].user_id, tickets[place].person.country
        before = hall.offers.get(user_id)
        starves = is_due(float(waited_s[place]), before, bound_s(desk, country))
        return user_id not in hall.asking, not starves, hall.costs.get(user_id, (-np.inf, ()))[0]

    asked = [int(place) for place in left if tickets[place].user_id in hall.asking]
    long = left[wave.snapshot.waited_s[left] >= AFTER_S]
    return sorted({*asked, *long.tolist()}, key=due)[:COSTED]


def _here(wave: Wave, left: NDArray[np.int64], place: int) -> tuple[Crowd, NDArray[np.int64]]:
    """Those who are left as one of them sees them, and their places."""
    stands_for = -(-len(left) // LOOKED_AT)
    places = left[::stands_for]
    barred = wave.snapshot.barred
    mine = barred[(barred == place).any(axis=1)]
    shut = np.isin(places, np.append(mine.ravel(), place))
    crowd = Crowd(wave.snapshot.rows[places], wave.fitting[places], shut, stands_for)
    return crowd, places


def _patience(
    desk: Desk, wave: Wave, place: int, fitting: NDArray[np.int64]
) -> tuple[FilterCost, ...]:
    tickets, patience = wave.snapshot.tickets, desk.rules.patience
    waited = wave.snapshot.waited_s[place : place + 1]
    wanted = float(wanted_similarity(patience, waited)[0])
    mine = tickets[place].wish
    alike = np.array([similarity(mine, tickets[one].wish) for one in fitting[:COMPARED].tolist()])
    cost = similarity_cost(
        alike, wanted, patience.relaxed_after_s, patience.start, desk.wave_every_s
    )
    return () if cost is None else (cost,)
