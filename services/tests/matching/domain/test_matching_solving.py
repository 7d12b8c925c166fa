"""Greedy and walks on small graphs whose answer is known, and on random ones."""

from __future__ import annotations

import networkx as nx  # type: ignore[import-untyped] # publishes no types
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inyeon.matching.domain import searching, solving
from inyeon.matching.domain.bounding import bound
from inyeon.matching.domain.graph import Graph, graph_of, pairs_of
from inyeon.matching.domain.solving import REACH, greedy, solve

pytestmark = pytest.mark.unit


@pytest.fixture(params=["compiled", "plain"])
def way(request: pytest.FixtureRequest) -> None:
    """Both ways of running the engine."""
    if request.param == "plain":
        request.getfixturevalue("plainly")


def graph(people: int, *triples: tuple[int, int, int]) -> Graph:
    one, other, steps = np.array(triples, np.int32).reshape(-1, 3).T
    return graph_of(one, other, steps, people)


@pytest.mark.usefixtures("way")
def test_nobody_and_nothing() -> None:
    for people in (0, 3):
        mates = solve(graph(people))
        assert mates.of.tolist() == [-1] * people and mates.won.tolist() == [0] * people
        assert bound(graph(people)) == 0


def test_edges_of_a_person_come_heaviest_first_and_equal_ones_in_their_order() -> None:
    made = graph(4, (0, 1, 5), (0, 2, 9), (3, 0, 5))
    assert made.to[made.start[0] : made.start[1]].tolist() == [2, 1, 3]
    assert made.weight[made.start[0] : made.start[1]].tolist() == [9, 5, 5]
    assert made.start.tolist() == [0, 3, 4, 5, 6]


def test_neighbours_become_pairs_once_with_both_bonuses() -> None:
    who = np.array([[1, 2], [0, -1], [-1, -1]], np.int32)
    kept = np.array([[7, 5], [7, 0], [0, 0]], np.int32)
    one, other, steps = (np.zeros(6, np.int32) for _ in range(3))
    count = pairs_of(who, kept, np.array([10, 20, 40], np.int32), one, other, steps)
    found = zip(one[:count].tolist(), other[:count].tolist(), steps[:count].tolist(), strict=True)
    assert list(found) == [(0, 1, 37), (0, 2, 55)]


def test_two_pairs_beat_the_one_in_the_middle() -> None:
    path = graph(4, (0, 1, 8), (1, 2, 10), (2, 3, 8))
    assert greedy(path).of.tolist() == [-1, 2, 1, -1]
    assert solve(path).of.tolist() == [1, 0, 3, 2]


def test_one_free_person_wanted_by_both_goes_to_one_with_the_second_best_for_the_other() -> None:
    mates = solve(graph(4, (1, 2, 10), (0, 1, 9), (0, 2, 9), (2, 3, 5)))
    assert mates.of.tolist() == [1, 0, 3, 2]
    assert mates.won.tolist() == [9, 9, 5, 5]


def test_a_ring_of_four_changes_partners_at_once() -> None:
    ring = graph(4, (0, 1, 10), (1, 2, 9), (2, 3, 1), (3, 0, 9))
    assert greedy(ring).of.tolist() == [1, 0, 3, 2]
    assert solve(ring).of.tolist() == [3, 2, 1, 0]


@pytest.mark.usefixtures("way")
def test_two_people_alone_at_the_ends_of_a_chain_are_joined_through_all_of_it() -> None:
    """Greedy takes each second pair and leaves both ends alone."""
    links = [(n, n + 1, 99 + n % 2) for n in range(1, 40)]
    chain = graph(42, (0, 1, 99), *links, (40, 41, 99))
    assert (greedy(chain).of >= 0).sum() == 40
    assert (solve(chain).of >= 0).all()


@pytest.mark.usefixtures("way")
def test_walks_end_with_their_rounds() -> None:
    path = graph(4, (0, 1, 8), (1, 2, 10), (2, 3, 8))
    mates = greedy(path)
    solving.improve(path, mates, 0)
    assert mates.of.tolist() == [-1, 2, 1, -1]
    solving.improve(path, mates, 1)
    assert mates.of.tolist() == [1, 0, 3, 2]


@pytest.mark.usefixtures("way")
def test_somebody_beyond_the_reach_of_a_search_stays_alone() -> None:
    """Both ends of the way through the last pair know `REACH` pairs that they like better."""
    near = [(end, 2 + 2 * (n + end * REACH)) for end in (0, 1) for n in range(REACH)]
    one, other = 2 + 4 * REACH, 3 + 4 * REACH
    pairs = [(place, place + 1, 900) for _, place in near]
    liked = [(end, place, 500) for end, place in near]
    made = graph(other + 1, *liked, *pairs, (one, other, 900), (0, one, 1), (1, other, 1))
    mates = greedy(made)
    solving.augment(made, mates)
    assert mates.of[0] == mates.of[1] == -1
    assert mates.of[one] == other


@pytest.mark.usefixtures("way")
def test_the_best_few_are_kept_and_the_first_of_equals() -> None:
    who, kept = np.full(2, -1, np.int32), np.zeros(2, np.int32)
    steps = np.array([3, 0, 7, 7, 9], np.int32)
    searching.keep_best(np.arange(5, dtype=np.int32), 5, steps, who, kept)
    assert sorted(zip(who.tolist(), kept.tolist(), strict=True)) == [(2, 7), (4, 9)]


def test_identical_people_are_all_paired_but_one() -> None:
    triples = [(a, b, 5) for a in range(41) for b in range(a + 1, 41)]
    assert (solve(graph(41, *triples)).of < 0).sum() == 1


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda pair: pair[0] < pair[1]),
        st.integers(1, 1000),
        max_size=40,
    )
)
def test_a_matching_that_is_maximal_between_half_of_the_optimum_and_the_bound(
    weights: dict[tuple[int, int], int],
) -> None:
    made = graph(12, *((a, b, w) for (a, b), w in weights.items()))
    mates = solve(made)
    for person, mate in enumerate(mates.of.tolist()):
        if mate >= 0:
            assert mates.of[mate] == person
            assert mates.won[person] == weights[min(person, mate), max(person, mate)]
        else:
            assert mates.won[person] == 0
    assert not any(mates.of[a] < 0 and mates.of[b] < 0 for a, b in weights)
    exact = nx.Graph()
    exact.add_weighted_edges_from((a, b, w) for (a, b), w in weights.items())
    best = sum(exact[a][b]["weight"] for a, b in nx.max_weight_matching(exact))
    total = int(mates.won.sum()) // 2
    assert total <= best <= bound(made) + 1e-6
    assert 2 * total >= best
