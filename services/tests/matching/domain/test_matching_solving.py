"""Greedy and exchanges on small graphs whose answer is known, and on random ones."""

from __future__ import annotations

import networkx as nx  # type: ignore[import-untyped] # publishes no types
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inyeon.matching.domain.edges import Edges
from inyeon.matching.domain.solving import greedy, solve

pytestmark = pytest.mark.unit


def edges(*triples: tuple[int, int, int]) -> Edges:
    ordered = sorted(triples, key=lambda triple: -triple[2])
    columns = np.array(ordered, np.int64).reshape(-1, 3).T
    return Edges(columns[0], columns[1], columns[2])


def test_nobody_and_nothing() -> None:
    for people in (0, 3):
        mates, weights = solve(edges(), people)
        assert mates.tolist() == [-1] * people and weights.tolist() == [0] * people


def test_two_pairs_beat_the_one_in_the_middle() -> None:
    path = edges((0, 1, 8), (1, 2, 10), (2, 3, 8))
    assert greedy(path, 4)[0].tolist() == [-1, 2, 1, -1]
    assert solve(path, 4)[0].tolist() == [1, 0, 3, 2]


def test_one_free_person_wanted_by_both_goes_to_one_with_the_second_best_for_the_other() -> None:
    mates, weights = solve(edges((1, 2, 10), (0, 1, 9), (0, 2, 9), (2, 3, 5)), 4)
    assert mates.tolist() == [1, 0, 3, 2]
    assert weights.tolist() == [9, 9, 5, 5]


def test_identical_people_are_all_paired_but_one() -> None:
    triples = [(a, b, 5) for a in range(41) for b in range(a + 1, 41)]
    mates, _ = solve(edges(*triples), 41)
    assert (mates < 0).sum() == 1


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda pair: pair[0] < pair[1]),
        st.integers(1, 1000),
        max_size=40,
    )
)
def test_a_matching_that_is_maximal_and_never_below_half_of_the_optimum(
    weights: dict[tuple[int, int], int],
) -> None:
    mates, worth = solve(edges(*((a, b, w) for (a, b), w in weights.items())), 12)
    for person, mate in enumerate(mates.tolist()):
        if mate >= 0:
            assert mates[mate] == person
            assert worth[person] == weights[min(person, mate), max(person, mate)]
    assert not any(mates[a] < 0 and mates[b] < 0 for a, b in weights)
    graph = nx.Graph()
    graph.add_weighted_edges_from((a, b, w) for (a, b), w in weights.items())
    best = sum(graph[a][b]["weight"] for a, b in nx.max_weight_matching(graph))
    assert int(worth.sum()) >= best  # each pair counts twice in worth
