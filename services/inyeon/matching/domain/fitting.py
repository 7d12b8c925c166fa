"""Hard gates between people, as bits: who may meet whom, for a block of people against all that
come after them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.languages import MAX_LEVEL, Routes

WORD = 64
BYTE = np.arange(256)
BOTH_WANT = ((BYTE & 0x0F) != 0) & ((BYTE >> 4) != 0)
"""A byte holds `I want your gender` below and `you want mine` above; both must be set."""


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """Languages of n people as bits, `words` 64-bit words each; bit b means the b-th shared tag."""

    spoken: tuple[NDArray[np.uint64], ...]
    """MAX_LEVEL arrays (n, words): languages spoken at level 1, 2, ... or better."""
    reached: NDArray[np.uint64]
    """(n, words): languages into which the person's can be translated; none where translation is
    not welcome.
    """
    welcomed: NDArray[np.uint64]
    """(n, words): the person's languages; none where translation is not welcome."""


def speech_of(rows: NDArray[np.void], routes: Routes) -> Speech:
    """Reads languages into bits. Only tags that could join two people get one: held twice, or with
    a route.
    """
    codes = routes.codes()
    tags, counts = np.unique(rows["tags"][rows["tags"] > 0], return_counts=True)
    routed = np.array(sorted({tag for pair in codes for tag in pair}), np.int64)
    kept = tags[(counts > 1) | np.isin(tags, routed)]
    level = _levels(rows, kept)
    reach = _reach(kept, codes)
    welcome = rows["welcome"][:, None]
    return Speech(
        tuple(_pack(level >= least) for least in range(1, MAX_LEVEL + 1)),
        _pack(((level > 0) @ reach) & welcome),
        _pack((level > 0) & welcome),
    )


def fits(rows: NDArray[np.void], speech: Speech, start: int, stop: int) -> NDArray[np.bool_]:
    """(stop - start, n - start): person start + r may meet person start + c, for c > r; one age
    band, no bars.
    """
    mine, theirs = rows[start:stop], rows[start:]
    both = _want_key(mine, mine=True)[:, None] & _want_key(theirs, mine=False)[None, :]
    fit: NDArray[np.bool_] = BOTH_WANT.take(both)
    fit &= _understand(speech, start, stop)
    _keep_countries(fit, mine, theirs)
    fit &= np.arange(stop - start)[:, None] < np.arange(len(theirs))[None, :]
    return fit


def common_level(
    speech: Speech, one: NDArray[np.int64], other: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """(k,) best level that both of a pair reach in one language; 0: none in common.

    The best of min(level, level) over languages is at least L exactly when some language has both
    at L or better.
    """
    level = np.zeros(len(one), np.uint8)
    for spoken in speech.spoken:
        level += (spoken[one] & spoken[other]).any(axis=1)
    return level


def _want_key(rows: NDArray[np.void], mine: bool) -> NDArray[np.uint8]:
    wants, gender = rows["wanted_genders"], rows["gender_bit"]
    key: NDArray[np.uint8] = (gender << 4) | wants if mine else (wants << 4) | gender
    return key


def _understand(speech: Speech, start: int, stop: int) -> NDArray[np.bool_]:
    spoken = speech.spoken[0]
    shape = (stop - start, len(spoken) - start)
    bits = np.zeros(shape, np.uint64)
    for word in range(spoken.shape[1]):
        bits |= spoken[start:stop, None, word] & spoken[None, start:, word]
        bits |= speech.reached[start:stop, None, word] & speech.welcomed[None, start:, word]
    understood: NDArray[np.bool_] = bits != 0
    return understood


def _keep_countries(
    fit: NDArray[np.bool_], mine: NDArray[np.void], theirs: NDArray[np.void]
) -> None:
    picky = np.flatnonzero(mine["limited"])
    fit[picky] &= _wants_country(mine[picky], theirs)
    picky = np.flatnonzero(theirs["limited"])
    fit[:, picky] &= _wants_country(theirs[picky], mine).T


def _wants_country(picky: NDArray[np.void], others: NDArray[np.void]) -> NDArray[np.bool_]:
    country = others["country"]
    wanted: NDArray[np.uint8] = picky["wanted_countries"][:, country >> 3]
    return ((wanted >> (country & 7).astype(np.uint8)) & 1).astype(np.bool_)


def _levels(rows: NDArray[np.void], kept: NDArray[np.int32]) -> NDArray[np.uint8]:
    level = np.zeros((len(rows), len(kept)), np.uint8)
    person, place = np.nonzero(np.isin(rows["tags"], kept))
    tags = rows["tags"][person, place]
    level[person, np.searchsorted(kept, tags)] = rows["levels"][person, place]
    return level


def _reach(kept: NDArray[np.int32], codes: tuple[tuple[int, int], ...]) -> NDArray[np.bool_]:
    column = {tag: number for number, tag in enumerate(kept.tolist())}
    reach = np.zeros((len(kept), len(kept)), np.bool_)
    for low, high in codes:
        if low in column and high in column:
            reach[column[low], column[high]] = reach[column[high], column[low]] = True
    return reach


def _pack(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    words = max(1, -(-bits.shape[1] // WORD))
    padded = np.zeros((len(bits), words * WORD), np.bool_)
    padded[:, : bits.shape[1]] = bits
    return np.packbits(padded, axis=1, bitorder="little").view(np.uint64)
