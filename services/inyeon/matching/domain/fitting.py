"""Hard gates between people, as bits: everybody whom one person may meet, in one go.

A gate is a table with a row for each answer (a gender, a language, a country) and a bit for each
person; who may meet a person is a handful of rows, or-ed and and-ed word by word. 20,000 people are
313 words, so asking all of them costs less than scoring a hundred.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.compiling import compiled, inlined
from inyeon.matching.domain.languages import Routes
from inyeon.matching.domain.people import Gender

WORD = 64
GENDERS = len(Gender)

Bits = NDArray[np.uint64]
"""(rows, words): bit b of word w is the person at place 64 * w + b."""


class Lists(NamedTuple):
    """A list of numbers for each person, behind each other."""

    start: NDArray[np.int64]
    """(n + 1,) where each person's numbers begin."""
    numbers: NDArray[np.int32]


class Gates(NamedTuple):
    """n people; each gate both ways."""

    gender: NDArray[np.uint8]
    """(n,) row of the person in `of_gender`."""
    wants: NDArray[np.uint8]
    """(n,) bits of wanted genders."""
    of_gender: Bits
    wanting: Bits
    """(genders, words) who wants that gender."""
    tongues: Lists
    """Rows of `speaking` that the person speaks."""
    reached: Lists
    """Rows of `welcoming` into which the person's languages can be translated."""
    speaking: Bits
    welcoming: Bits
    """(tags, words) who speaks that language and welcomes translation."""
    country: NDArray[np.int32]
    """(n,) row of the person in `taking`."""
    limited: NDArray[np.bool_]
    """(n,) wants certain countries only."""
    wished: Lists
    """Rows of `of_country` that the person wants, of those from which anybody is here."""
    of_country: Bits
    taking: Bits
    """(countries, words) who takes people from there."""
    bars: Lists
    """Places of people whom the person must not meet."""


@inlined
def _join(into: NDArray[np.uint64], row: NDArray[np.uint64]) -> None:
    for word in range(into.shape[0]):
        into[word] |= row[word]


@inlined
def _narrow(into: NDArray[np.uint64], row: NDArray[np.uint64]) -> None:
    for word in range(into.shape[0]):
        into[word] &= row[word]


@compiled
def may_meet(
    gates: Gates, one: int, allowed: NDArray[np.uint64], scratch: NDArray[np.uint64]
) -> None:
    """Writes into `allowed` (words,) everybody whom person `one` may meet, age bands not asked."""
    allowed[:] = 0
    for gender in range(gates.of_gender.shape[0]):
        if gates.wants[one] >> gender & 1:
            _join(allowed, gates.of_gender[gender])
    _narrow(allowed, gates.wanting[gates.gender[one]])
    scratch[:] = 0
    for number in range(gates.tongues.start[one], gates.tongues.start[one + 1]):
        _join(scratch, gates.speaking[gates.tongues.numbers[number]])
    for number in range(gates.reached.start[one], gates.reached.start[one + 1]):
        _join(scratch, gates.welcoming[gates.reached.numbers[number]])
    _narrow(allowed, scratch)
    _narrow(allowed, gates.taking[gates.country[one]])
    if gates.limited[one]:
        scratch[:] = 0
        for number in range(gates.wished.start[one], gates.wished.start[one + 1]):
            _join(scratch, gates.of_country[gates.wished.numbers[number]])
        _narrow(allowed, scratch)
    _forbid(allowed, one)
    for number in range(gates.bars.start[one], gates.bars.start[one + 1]):
        _forbid(allowed, gates.bars.numbers[number])


@inlined
def _forbid(allowed: NDArray[np.uint64], place: int) -> None:
    allowed[place // WORD] &= ~(np.uint64(1) << np.uint64(place % WORD))


def gates_of(rows: NDArray[np.void], barred: NDArray[np.int64], routes: Routes) -> Gates:
    """Of n people, rows of columns.ROW; `barred` (k, 2) places of people who must not meet."""
    people = len(rows)
    genders = np.arange(GENDERS)
    gender_bits = rows["gender_bit"][:, None] >> genders & 1
    wanted_bits = rows["wanted_genders"][:, None] >> genders & 1
    spoken, reached = _speech(rows, routes)
    country, of_country, wished = _countries(rows)
    taken = wished | ~rows["limited"][:, None]
    return Gates(
        gender=gender_bits.argmax(axis=1).astype(np.uint8),
        wants=np.ascontiguousarray(rows["wanted_genders"]),
        of_gender=_pack(gender_bits),
        wanting=_pack(wanted_bits),
        tongues=_lists(spoken),
        reached=_lists(reached),
        speaking=_pack(spoken),
        welcoming=_pack(spoken & rows["welcome"][:, None]),
        country=country,
        limited=np.ascontiguousarray(rows["limited"]),
        wished=_lists(wished),
        of_country=of_country,
        taking=_pack(taken),
        bars=_bars(barred, people),
    )


def _speech(rows: NDArray[np.void], routes: Routes) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n, tags) who speaks what, and whose languages are translated into what. Only tags that could
    join two people get a column: held twice, or with a route."""
    codes = routes.codes()
    tags, counts = np.unique(rows["tags"][rows["tags"] > 0], return_counts=True)
    routed = np.array(sorted({tag for pair in codes for tag in pair}), np.int64)
    kept = tags[(counts > 1) | np.isin(tags, routed)]
    spoken = (rows["tags"][:, :, None] == kept).any(axis=1)
    reach = np.zeros((len(kept), len(kept)), np.bool_)
    place = {tag: number for number, tag in enumerate(kept.tolist())}
    for low, high in codes:
        if low in place and high in place:
            reach[place[low], place[high]] = reach[place[high], place[low]] = True
    return spoken, (spoken @ reach) & rows["welcome"][:, None]


def _countries(
    rows: NDArray[np.void],
) -> tuple[NDArray[np.int32], Bits, NDArray[np.bool_]]:
    """Row of each person's country, who is from it, and (n, countries) who wishes for which."""
    here, country = np.unique(rows["country"], return_inverse=True)
    wished = np.zeros((len(rows), len(here)), np.bool_)
    limited = rows["limited"]
    bits = rows["wanted_countries"][limited]
    wished[limited] = bits[:, here >> 3] >> (here & 7).astype(np.uint8) & 1
    return country.astype(np.int32), _pack(country[:, None] == np.arange(len(here))), wished


def _bars(barred: NDArray[np.int64], people: int) -> Lists:
    both = np.concatenate([barred, barred[:, ::-1]])
    both = both[np.argsort(both[:, 0], kind="stable")]
    start = np.searchsorted(both[:, 0], np.arange(people + 1))
    return Lists(start, both[:, 1].astype(np.int32))


def _lists(chosen: NDArray[np.bool_]) -> Lists:
    """(n, rows) as lists of rows."""
    start = np.concatenate([[0], np.cumsum(np.count_nonzero(chosen, axis=1))])
    return Lists(start, np.nonzero(chosen)[1].astype(np.int32))


def _pack(chosen: NDArray[np.generic]) -> Bits:
    """(n, rows) of 0 and 1 to (rows, words)."""
    people, rows = chosen.shape
    words = -(-people // WORD)
    padded = np.zeros((rows, words * WORD), np.bool_)
    padded[:, :people] = chosen.T
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)
