"""The field of a wave: everybody who may be proposed, as plain arrays for compiled loops.

People are ordered so that those with alike interests lie together: by age band, space and cluster.
Vectors are held as whole numbers in float32, so that their products are exact in any order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.clusters import Clusters, cluster
from inyeon.matching.domain.fitting import WORD, Gates, gates_of
from inyeon.matching.domain.languages import MAX_LEVEL, Routes
from inyeon.matching.domain.scoring import Patience, wanted_similarity
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.tasting import Tastes, tastes_of


class Facts(NamedTuple):
    """What scores read of n people, by place in the field."""

    spoken: NDArray[np.uint64]
    """(n, levels, words) bits of the languages spoken at level 1, 2, ... or better."""
    space: NDArray[np.int64]
    """(n,) number of the embedding space."""
    vector_from: NDArray[np.int64]
    """(n + 1,) where the person's part of `vectors` begins."""
    vectors: NDArray[np.float32]
    """Whole numbers, each vector shorter than 4,096."""
    inverse: NDArray[np.float32]
    """(n,) 1 / length of the vector."""
    wanted: NDArray[np.float32]
    """(n,) smallest similarity that the person takes now."""
    credit: NDArray[np.float32]
    """(n,) waiting, 0 to 1."""
    tastes: Tastes


class Field(NamedTuple):
    """Everybody, with the way back to the snapshot."""

    gates: Gates
    facts: Facts
    clusters: Clusters
    places: NDArray[np.int64]
    """(n,) position in the snapshot of each place in the field."""


def lay_out(
    snapshot: Snapshot, routes: Routes, patience: Patience, seed: int, cluster_size: int
) -> Field:
    """Everybody of the snapshot, alike people side by side, otherwise in an order drawn by `seed`.

    Who has no declared age band is in a group that is near nobody.
    """
    clusters, places = cluster(snapshot, seed, cluster_size)
    rows = snapshot.rows[places]
    place = np.empty(len(places), np.int64)
    place[places] = np.arange(len(places))
    gates = gates_of(rows, place[snapshot.barred], routes)
    return Field(gates, _facts(snapshot, rows, places, patience), clusters, places)


def _facts(
    snapshot: Snapshot, rows: NDArray[np.void], places: NDArray[np.int64], patience: Patience
) -> Facts:
    vector_from, vectors, inverse = _vectors(snapshot, places)
    waited_s = snapshot.waited_s[places]
    return Facts(
        spoken=_spoken(rows),
        space=np.ascontiguousarray(rows["space"]),
        vector_from=vector_from,
        vectors=vectors,
        inverse=inverse,
        wanted=wanted_similarity(patience, waited_s).astype(np.float32),
        credit=np.minimum(waited_s / patience.credit_cap_s, 1.0).astype(np.float32),
        tastes=tastes_of(snapshot, places, vector_from),
    )


def _spoken(rows: NDArray[np.void]) -> NDArray[np.uint64]:
    """Only languages that two people share get a bit."""
    tags, counts = np.unique(rows["tags"][rows["tags"] > 0], return_counts=True)
    kept = tags[counts > 1]
    words = max(-(-len(kept) // WORD), 1)
    bits = np.zeros((len(rows), MAX_LEVEL, words * WORD), np.bool_)
    for column in range(rows["tags"].shape[1]):
        spoken = np.flatnonzero(np.isin(rows["tags"][:, column], kept))
        bit = np.searchsorted(kept, rows["tags"][spoken, column])
        for least in range(1, MAX_LEVEL + 1):
            well = rows["levels"][spoken, column] >= least
            bits[spoken[well], least - 1, bit[well]] = True
    return np.packbits(bits, axis=2, bitorder="little").view("<u8").astype(np.uint64)


def _vectors(
    snapshot: Snapshot, places: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Vectors of all spaces behind each other, in the field's order."""
    dims = np.zeros(len(places), np.int64)
    for group in snapshot.spaces:
        dims[group.places] = group.steps.shape[1]
    starts = np.concatenate([[0], np.cumsum(dims[places])])
    start_of, inverse_of = np.empty(len(places), np.int64), np.empty(len(places), np.float32)
    start_of[places] = starts[:-1]
    vectors = np.empty(starts[-1], np.float32)
    for group in snapshot.spaces:
        at = start_of[group.places]
        vectors[at[:, None] + np.arange(group.steps.shape[1])] = group.steps
        inverse_of[group.places] = group.inverse
    return starts, vectors, inverse_of[places]
