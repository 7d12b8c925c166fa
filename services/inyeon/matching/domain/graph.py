"""The graph of a wave: who may meet whom among the best of each, weighted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.compiling import compiled

NONE = -1


class Graph(NamedTuple):
    """n people, k pairs. Each pair is an edge of both people."""

    one: NDArray[np.int32]
    other: NDArray[np.int32]
    """(k,) people of each pair, heaviest pair first."""
    steps: NDArray[np.int32]
    """(k,) weight of each pair, above 0."""
    start: NDArray[np.int64]
    """(n + 1,) where the edges of each person begin."""
    to: NDArray[np.int32]
    """(2 k,) the other person, heaviest edge of each person first."""
    weight: NDArray[np.int32]
    """(2 k,) weights of these."""


def graph_of(
    one: NDArray[np.int32], other: NDArray[np.int32], steps: NDArray[np.int32], people: int
) -> Graph:
    """Of pairs, each named once, with weights from 1 to 65,535; equal ones stay in their order."""
    # uint16 on purpose: numpy sorts it by radix, ten times faster than wider numbers.
    order = np.argsort((65_535 - steps).astype(np.uint16), kind="stable")
    one, other, steps = one[order], other[order], steps[order]
    start = np.zeros(people + 1, np.int64)
    np.cumsum(
        np.bincount(one, minlength=people) + np.bincount(other, minlength=people), out=start[1:]
    )
    to, weight = np.empty(2 * len(one), np.int32), np.empty(2 * len(one), np.int32)
    _lay(one, other, steps, start[:-1].copy(), to, weight)
    return Graph(one, other, steps, start, to, weight)


@compiled
def _lay(
    one: NDArray[np.int32],
    other: NDArray[np.int32],
    steps: NDArray[np.int32],
    free: NDArray[np.int64],
    to: NDArray[np.int32],
    weight: NDArray[np.int32],
) -> None:
    for pair in range(one.shape[0]):
        a, b = one[pair], other[pair]
        to[free[a]], weight[free[a]] = b, steps[pair]
        to[free[b]], weight[free[b]] = a, steps[pair]
        free[a] += 1
        free[b] += 1


@compiled
def pairs_of(
    who: NDArray[np.int32],
    kept: NDArray[np.int32],
    bonus: NDArray[np.int32],
    one: NDArray[np.int32],
    other: NDArray[np.int32],
    steps: NDArray[np.int32],
) -> int:
    """Writes each pair of (n, k) neighbours once, its score raised by both people's bonus; returns
    how many."""
    count = 0
    for person in range(who.shape[0]):
        for column in range(who.shape[1]):
            found = who[person, column]
            if found < 0:
                break
            if found > person or not holds(who[found], person):
                one[count], other[count] = person, found
                steps[count] = kept[person, column] + bonus[person] + bonus[found]
                count += 1
    return count


@compiled
def holds(row: NDArray[np.int32], person: int) -> bool:
    """The person is among those of the row."""
    found = False
    for column in range(row.shape[0]):
        found |= row[column] == person
    return found
