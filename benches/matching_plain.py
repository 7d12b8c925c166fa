"""Plain alternatives to the matching engine on the same people, and exact answers.

Everything here is computed from the tickets themselves, with none of the engine's tables: gates and
scores of all pairs as matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import rustworkx
from numpy.typing import NDArray

from inyeon.matching.domain import scoring
from inyeon.matching.domain.languages import Routes
from inyeon.matching.domain.tickets import Ticket

STEPS = 100_000
"""Of a unit of score: the exact solver adds whole numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Everybody:
    """All pairs of n people."""

    fits: NDArray[np.bool_]
    """(n, n) through all gates between people, both ways; nobody fits themselves."""
    worth: NDArray[np.float64]
    """(n, n) score, 0 where they do not fit."""


def everybody(tickets: list[Ticket], waited_s: NDArray[np.float64], routes: Routes) -> Everybody:
    """By the words of ARCHITECTURE.md and of `scoring`."""
    fits = _genders(tickets) & _countries(tickets) & _bands(tickets)
    level, translated = _languages(tickets, routes)
    fits &= (level > 0) | translated
    np.fill_diagonal(fits, False)
    quality = np.where(level > 0, level / 5, scoring.TRANSLATED)
    unit = np.stack([ticket.wish.interests.direction for ticket in tickets]).astype(np.float64)
    credit = np.minimum(waited_s / 60.0, 1.0)
    worth = (
        scoring.MEETING
        + scoring.INTERESTS * np.maximum(unit @ unit.T, 0.0)
        + scoring.LANGUAGE * quality
        + scoring.WAITING * (credit[:, None] + credit[None, :]) / 2
    )
    return Everybody(fits, np.where(fits, worth, 0.0))


def first_fit(people: Everybody, seed: int) -> list[tuple[int, int]]:
    """In random order everybody takes the first who fits."""
    order = np.random.default_rng(seed).permutation(len(people.fits))
    free = np.ones(len(order), np.bool_)
    pairs = []
    for one in order.tolist():
        here = people.fits[one] & free
        if free[one] and here.any():
            other = int(order[np.argmax(here[order])])
            free[one] = free[other] = False
            pairs.append((one, other))
    return pairs


def greedy(people: Everybody) -> list[tuple[int, int]]:
    """The best pair of all, then the best of those left, ..."""
    ones, others = np.nonzero(np.triu(people.fits))
    order = np.argsort(-people.worth[ones, others], kind="stable")
    free = np.ones(len(people.fits), np.bool_)
    pairs = []
    for one, other in zip(ones[order].tolist(), others[order].tolist(), strict=True):
        if free[one] and free[other]:
            free[one] = free[other] = False
            pairs.append((one, other))
    return pairs


def heaviest(people: Everybody) -> float:
    """Total score of an exact maximum-weight matching of all pairs."""
    ones, others = np.nonzero(np.triu(people.fits))
    whole = np.rint(people.worth[ones, others] * STEPS).astype(np.int64)
    graph = _graph(len(people.fits), ones, others, whole)
    pairs = rustworkx.max_weight_matching(graph, weight_fn=int)
    return sum(float(people.worth[one, other]) for one, other in pairs)


def most_pairs(people: Everybody) -> int:
    """Pairs of an exact maximum-cardinality matching of all pairs."""
    ones, others = np.nonzero(np.triu(people.fits))
    graph = _graph(len(people.fits), ones, others, np.ones(len(ones), np.int64))
    return len(rustworkx.max_weight_matching(graph, max_cardinality=True, weight_fn=int))


def total(people: Everybody, pairs: list[tuple[int, int]]) -> float:
    """Score of these pairs together."""
    return sum(float(people.worth[pair]) for pair in pairs)


def _graph(
    count: int, ones: NDArray[np.int64], others: NDArray[np.int64], weights: NDArray[np.int64]
) -> rustworkx.PyGraph[int, int]:
    graph: rustworkx.PyGraph[int, int] = rustworkx.PyGraph(multigraph=False)
    graph.add_nodes_from(range(count))
    triples = zip(ones.tolist(), others.tolist(), weights.tolist(), strict=True)
    graph.add_edges_from(list(triples))
    return graph


def _both(wants: NDArray[np.bool_]) -> NDArray[np.bool_]:
    both: NDArray[np.bool_] = wants & wants.T
    return both


def _genders(tickets: list[Ticket]) -> NDArray[np.bool_]:
    return _both(
        np.array(
            [
                [
                    not one.wish.genders or other.person.gender in one.wish.genders
                    for other in tickets
                ]
                for one in tickets
            ]
        )
    )


def _countries(tickets: list[Ticket]) -> NDArray[np.bool_]:
    return _both(
        np.array(
            [
                [
                    not one.wish.countries or other.person.country in one.wish.countries
                    for other in tickets
                ]
                for one in tickets
            ]
        )
    )


def _bands(tickets: list[Ticket]) -> NDArray[np.bool_]:
    band = np.array([ticket.person.age_band for ticket in tickets])
    same: NDArray[np.bool_] = band[:, None] == band[None, :]
    return same


def _languages(
    tickets: list[Ticket], routes: Routes
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(n, n) best common level, and whether a welcome translation joins them."""
    tags = sorted({spoken.tag for ticket in tickets for spoken in ticket.wish.languages})
    levels = np.zeros((len(tickets), len(tags)), np.int64)
    for number, ticket in enumerate(tickets):
        for spoken in ticket.wish.languages:
            levels[number, tags.index(spoken.tag)] = spoken.level
    common = np.zeros((len(tickets), len(tickets)), np.int64)
    for column in levels.T:
        common = np.maximum(common, np.minimum(column[:, None], column[None, :]))
    welcome = np.array([ticket.wish.translation_welcome for ticket in tickets])
    spoken_by = (levels > 0).astype(np.int64)
    routed = np.array([[routes.between(a, b) for b in tags] for a in tags], np.int64)
    translated = (spoken_by @ routed @ spoken_by.T > 0) & welcome[:, None] & welcome[None, :]
    return common, translated
