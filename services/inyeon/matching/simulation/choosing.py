"""Policies as choosers: from the pool at a moment to pairs of waiting tickets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.languages import Routes
from inyeon.matching.domain.score_models import LINEAR_1, ScoreModel, Term
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.tickets import Ticket
from inyeon.matching.domain.waves import Wave, WaveRules, decide
from inyeon.matching.simulation.chance import uniform
from inyeon.matching.simulation.judging import may_meet, similarity
from inyeon.matching.simulation.scenario import Policy

HARD_FITS = 3
"""Somebody whom no more people fit is hard to match."""
URGENT_S = 3600.0
"""Waiting time that counts for somebody urgent: above every patience and every cap of credit."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What devices show."""

    leaving: frozenset[str]
    """Users who are about to leave."""


class Chooser:
    """One policy in one run."""

    def __init__(self, policy: Policy, routes: Routes, seed: int) -> None:
        self._policy, self._seed, self._passes = policy, seed, 0
        patience = Patience(policy.min_similarity, policy.relaxed_after_s)
        self._rules = WaveRules(patience, routes, score=_score(policy))
        self._routes = routes
        self._fitting: Mapping[str, int] = {}

    @property
    def on_arrival(self) -> bool:
        """Somebody who arrives is looked at at once."""
        return self._policy.kind == "on-arrival" or self._policy.easy_from is not None

    @property
    def in_waves(self) -> bool:
        """Everybody is looked at every `wave_every_s`."""
        return self._policy.kind != "on-arrival"

    def wave(self, snapshot: Snapshot, signs: Signs) -> list[tuple[Ticket, Ticket]]:
        """Pairs of a wave."""
        if self._policy.kind == "first-fit":
            return self._first_fit(snapshot)
        wave = decide(self._hurried(snapshot, signs), self._rules_now(), self._pass_seed())
        users = [ticket.user_id for ticket in wave.snapshot.tickets]
        self._fitting = dict(zip(users, wave.fitting.tolist(), strict=True))
        return _pairs(wave)

    def arrival(self, snapshot: Snapshot, user_id: str) -> list[tuple[Ticket, Ticket]]:
        """Pairs when somebody has arrived."""
        places = {ticket.user_id: place for place, ticket in enumerate(snapshot.tickets)}
        if user_id not in places:
            return []
        if self._policy.kind == "on-arrival":
            return self._best(snapshot, places[user_id])
        seeker = np.array([places[user_id]])
        wave = decide(snapshot, self._rules, self._pass_seed(), seeker)
        fits = {**self._fitting, user_id: int(wave.fitting[seeker[0]])}
        least = self._policy.easy_from or 0
        return [
            pair for pair in _pairs(wave) if all(fits.get(one.user_id, 0) >= least for one in pair)
        ]

    def _pass_seed(self) -> int:
        self._passes += 1
        return self._seed << 32 | self._passes

    def _rules_now(self) -> WaveRules:
        if uniform(self._seed, "explore", self._passes) >= self._policy.explore:
            return self._rules
        return dataclasses.replace(self._rules, patience=Patience(start=0.0))

    def _hurried(self, snapshot: Snapshot, signs: Signs) -> Snapshot:
        urgent = [self._urgent(ticket, signs) for ticket in snapshot.tickets]
        if not any(urgent):
            return snapshot
        waited = np.where(urgent, URGENT_S, snapshot.waited_s)
        return dataclasses.replace(snapshot, waited_s=waited)

    def _urgent(self, ticket: Ticket, signs: Signs) -> bool:
        leaving = self._policy.leaving_first and ticket.user_id in signs.leaving
        known = self._policy.hard_first and ticket.user_id in self._fitting
        return leaving or (known and self._fitting[ticket.user_id] <= HARD_FITS)

    def _first_fit(self, snapshot: Snapshot) -> list[tuple[Ticket, Ticket]]:
        rng = np.random.default_rng(self._pass_seed())
        order, barred = rng.permutation(len(snapshot)).tolist(), _bars(snapshot)
        free, pairs = dict.fromkeys(order), []
        for one in order:
            if one in free:
                del free[one]
                other = next((x for x in free if self._may(snapshot, barred, one, x)), None)
                if other is not None:
                    del free[other]
                    pairs.append((snapshot.tickets[one], snapshot.tickets[other]))
        return pairs

    def _best(self, snapshot: Snapshot, one: int) -> list[tuple[Ticket, Ticket]]:
        barred = _bars(snapshot)
        others = [x for x in range(len(snapshot)) if self._may(snapshot, barred, one, x)]
        mine = snapshot.tickets[one]
        alike: Callable[[int], float] = lambda x: similarity(mine.wish, snapshot.tickets[x].wish)  # noqa: E731
        return [(mine, snapshot.tickets[max(others, key=alike)])] if others else []

    def _may(
        self, snapshot: Snapshot, barred: frozenset[tuple[int, int]], one: int, other: int
    ) -> bool:
        low, high = min(one, other), max(one, other)
        pair = snapshot.tickets[one], snapshot.tickets[other]
        return (low, high) not in barred and may_meet(*pair, self._routes)


def _score(policy: Policy) -> ScoreModel:
    if policy.waiting_weight == LINEAR_1.weight(Term.WAITING):
        return LINEAR_1
    weights = {**LINEAR_1.weights, Term.WAITING: policy.waiting_weight}
    return ScoreModel("simulated", LINEAR_1.meeting, weights)


def _bars(snapshot: Snapshot) -> frozenset[tuple[int, int]]:
    barred: NDArray[np.int64] = snapshot.barred
    return frozenset((low, high) for low, high in barred.tolist())


def _pairs(wave: Wave) -> list[tuple[Ticket, Ticket]]:
    tickets = wave.snapshot.tickets
    return [(tickets[pair.one], tickets[pair.other]) for pair in wave.pairs]
