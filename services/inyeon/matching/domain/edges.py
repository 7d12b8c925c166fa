"""Candidate pairs of a wave: everybody who may meet, with scores, best first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain import scoring
from inyeon.matching.domain.fitting import common_level, fits, speech_of
from inyeon.matching.domain.languages import MAX_LEVEL, Routes
from inyeon.matching.domain.people import AgeBand
from inyeon.matching.domain.scoring import Patience, wanted_similarity
from inyeon.matching.domain.snapshot import Snapshot

BLOCK_ROWS = 256
"""People looked at in one go: 256 x 20,000 pairs of 8 bytes are 40 MB, and 1,000 fit a core's
cache.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """k pairs, best first; equal scores in an order drawn by the wave's seed."""

    one: NDArray[np.int64]
    other: NDArray[np.int64]
    """(k,) positions in the snapshot, one < other."""
    steps: NDArray[np.int64]
    """(k,) score in steps of MAX_SCORE / SCORE_STEPS."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What a wave may choose from."""

    edges: Edges
    fitting: NDArray[np.int64]
    """(n,) how many people pass both people's gates, patience not asked."""


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    one: NDArray[np.int64]
    other: NDArray[np.int64]
    similarity: NDArray[np.float32]
    level: NDArray[np.uint8]


def find_candidates(
    snapshot: Snapshot, routes: Routes, patience: Patience, seed: int
) -> Candidates:
    """All pairs through the gates and both people's patience, scored.

    Age bands are looked at apart: a mixed pair is never even formed.
    """
    fitting = np.zeros(len(snapshot), np.int64)
    wanted = wanted_similarity(patience, snapshot.waited_s).astype(np.float32)
    found = [
        part
        for band in (AgeBand.MINOR, AgeBand.ADULT)
        for part in _within(
            snapshot, np.flatnonzero(snapshot.rows["age"] == band), routes, wanted, fitting
        )
    ]
    pairs = _Found(
        np.concatenate([part.one for part in found] or [np.zeros(0, np.int64)]),
        np.concatenate([part.other for part in found] or [np.zeros(0, np.int64)]),
        np.concatenate([part.similarity for part in found] or [np.zeros(0, np.float32)]),
        np.concatenate([part.level for part in found] or [np.zeros(0, np.uint8)]),
    )
    return Candidates(_ranked(pairs, snapshot, patience, seed), fitting)


def _within(
    snapshot: Snapshot,
    band: NDArray[np.int64],
    routes: Routes,
    wanted: NDArray[np.float32],
    fitting: NDArray[np.int64],
) -> Iterator[_Found]:
    """Pairs of one age band, a block at a time; counts everybody who fits into `fitting`."""
    rows = snapshot.rows[band]
    speech = speech_of(rows, routes)
    place = np.full(len(snapshot), -1, np.int64)
    place[band] = np.arange(len(band))
    barred, picky = place[snapshot.barred], wanted[band]
    for start in range(0, len(band), BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, len(band))
        fit = fits(rows, speech, start, stop)
        _bar(fit, barred, start, stop)
        fitting[band[start:stop]] += np.count_nonzero(fit, axis=1)
        fitting[band[start:]] += np.count_nonzero(fit, axis=0)
        similarity = _similarity(snapshot, place, start, stop)
        fit &= similarity >= np.maximum(picky[start:stop, None], picky[None, start:])
        flat = np.flatnonzero(fit)
        one, other = np.divmod(flat, fit.shape[1])
        one += start
        other += start
        alike = similarity.ravel().take(flat)
        yield _Found(band[one], band[other], alike, common_level(speech, one, other))


def _bar(fit: NDArray[np.bool_], barred: NDArray[np.int64], start: int, stop: int) -> None:
    one, other = barred[:, 0], barred[:, 1]
    here = (start <= one) & (one < stop) & (start <= other)
    fit[one[here] - start, other[here] - start] = False


def _similarity(
    snapshot: Snapshot, place: NDArray[np.int64], start: int, stop: int
) -> NDArray[np.float32]:
    """(stop - start, n - start) cosines, at least 0; 0 between spaces: not comparable."""
    count = int((place >= 0).sum())
    cosine = np.zeros((stop - start, count - start), np.float32)
    for group in snapshot.spaces:
        at = place[group.places]
        mine, theirs = (start <= at) & (at < stop), start <= at
        product = group.matrix[mine] @ group.matrix[theirs].T
        if product.shape == cosine.shape:
            cosine = product
        elif product.size:
            cosine[np.ix_(at[mine] - start, at[theirs] - start)] = product
    return np.maximum(cosine, 0.0, out=cosine)


def _ranked(pairs: _Found, snapshot: Snapshot, patience: Patience, seed: int) -> Edges:
    steps = _steps(pairs, snapshot, patience)
    drawn = np.random.default_rng(seed).permutation(len(steps))
    order = drawn[np.argsort(scoring.SCORE_STEPS - steps[drawn], kind="stable")]
    return Edges(pairs.one[order], pairs.other[order], steps[order].astype(np.int64))


def _steps(pairs: _Found, snapshot: Snapshot, patience: Patience) -> NDArray[np.uint16]:
    credit = np.minimum(snapshot.waited_s / patience.credit_cap_s, 1.0).astype(np.float32)
    quality = np.array([scoring.TRANSLATED, *(n / MAX_LEVEL for n in range(1, MAX_LEVEL + 1))])
    score = (
        scoring.MEETING
        + scoring.INTERESTS * np.minimum(pairs.similarity, 1.0)
        + scoring.LANGUAGE * quality.astype(np.float32)[pairs.level]
        + scoring.WAITING * (credit[pairs.one] + credit[pairs.other]) / 2
    )
    # uint16 on purpose: numpy sorts it by radix, ten times faster than floats.
    return np.rint(score * (scoring.SCORE_STEPS / scoring.MAX_SCORE)).astype(np.uint16)
