"""Who lies near whom: people of one age band and one space, grouped around some of themselves.

A search looks into the nearest groups first and may stop there; small fields are one group a band.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.people import AgeBand
from inyeon.matching.domain.snapshot import Snapshot, SpaceGroup

MAX_SPACES = 8
"""Of a band; people of rarer spaces are one group, so that a flood of spaces costs nothing."""


class Clusters(NamedTuple):
    """c groups of places that follow each other; no group holds two age bands."""

    of: NDArray[np.int32]
    """(n,) group of each place, rising."""
    start: NDArray[np.int64]
    """(c + 1,) first place of each group."""
    near: NDArray[np.int32]
    """(c, k) groups of the same band, nearest first, itself the first; -1 where there are fewer."""


class _Named(NamedTuple):
    groups: list[NDArray[np.int64]]
    near: NDArray[np.int64]


def cluster(snapshot: Snapshot, seed: int, size: int) -> tuple[Clusters, NDArray[np.int64]]:
    """Groups of some `size` people, and (n,) the position in the snapshot of each place.

    Within a group people come in an order drawn by `seed`. Those without a declared age band are a
    group that is near nobody, not even itself.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(len(snapshot))
    ages = snapshot.rows["age"][drawn]
    bands = [
        _within(snapshot, drawn[ages == band], rng, size) for band in (AgeBand.MINOR, AgeBand.ADULT)
    ]
    nobody = drawn[ages == AgeBand.UNKNOWN]
    groups = [group for band in bands for group in band.groups] + [nobody]
    start = np.concatenate([[0], np.cumsum([len(group) for group in groups])])
    near = np.full((len(groups), max(len(band.groups) for band in bands)), -1, np.int32)
    first = 0
    for band in bands:
        count = len(band.groups)
        near[first : first + count, :count] = band.near + first
        first += count
    of = np.repeat(np.arange(len(groups), dtype=np.int32), np.diff(start))
    return Clusters(of, start, near), np.concatenate(groups)


def _within(
    snapshot: Snapshot, band: NDArray[np.int64], rng: np.random.Generator, size: int
) -> _Named:
    """Groups of one band."""
    inside = np.zeros(len(snapshot), np.bool_)
    inside[band] = True
    spaces = [(space, inside[space.places]) for space in snapshot.spaces]
    spaces.sort(key=lambda one: -int(one[1].sum()))
    named, rest = [], band
    for space, here in spaces[:MAX_SPACES]:
        if here.any():
            named.append(_around(space, here, rng, size))
            inside[space.places] = False
    rest = band[inside[band]]
    if len(rest):
        named.append(_Named([rest], np.zeros((1, 1), np.int64)))
    return _joined(named)


def _around(
    space: SpaceGroup, here: NDArray[np.bool_], rng: np.random.Generator, size: int
) -> _Named:
    """People of one space, each with the most alike of some that are drawn from them."""
    places, steps, inverse = space.places[here], space.steps[here], space.inverse[here]
    order = rng.permutation(len(places))
    places = places[order]
    unit = steps[order].astype(np.float32)
    count = max(len(places) // size, 1)
    if count == 1:
        return _Named([places], np.zeros((1, 1), np.int64))
    middles = unit[:count]
    # Products of whole numbers are exact, so the same groups come out on every machine.
    length = inverse[order[:count]]
    nearest = (unit @ middles.T * length).argmax(axis=1)
    alike = middles @ middles.T * length * length[:, None]
    np.fill_diagonal(alike, np.inf)
    groups = [places[nearest == number] for number in range(count)]
    return _Named(groups, np.argsort(-alike, axis=1, kind="stable"))


def _joined(named: list[_Named]) -> _Named:
    """Groups of several spaces: those of the own space first."""
    sizes = [len(one.groups) for one in named]
    firsts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    total = int(firsts[-1])
    near = np.zeros((total, total), np.int64)
    everybody = np.arange(total)
    for one, first, size in zip(named, firsts[:-1].tolist(), sizes, strict=True):
        own = slice(first, first + size)
        near[own, :size] = one.near + first
        near[own, size:] = np.delete(everybody, own)
    return _Named([group for one in named for group in one.groups], near)
