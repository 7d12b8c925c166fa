"""Search: for each person the best of those who may meet them.

The gates leave bits; the search scores the people behind them, nearest groups first, until enough
were scored. How many people fit is counted over everybody.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.clusters import Clusters
from inyeon.matching.domain.compiling import compiled
from inyeon.matching.domain.field import Facts
from inyeon.matching.domain.fitting import WORD, Gates, may_meet
from inyeon.matching.domain.products import product
from inyeon.matching.domain.scoring import Worth
from inyeon.matching.domain.tasting import length_term, session_term


class Near(NamedTuple):
    """What a search found, for n people and at most k each."""

    who: NDArray[np.int32]
    """(n, k) places, in no order; -1 behind the last."""
    steps: NDArray[np.int32]
    """(n, k) scores of these pairs."""
    fitting: NDArray[np.int32]
    """(n,) people who pass both people's gates."""
    scored: NDArray[np.int32]
    """(n,) of these, how many were scored."""


def nobody_yet(people: int, most: int) -> Near:
    """Before the first search."""
    return Near(
        np.full((people, most), -1, np.int32),
        np.zeros((people, most), np.int32),
        np.zeros(people, np.int32),
        np.zeros(people, np.int32),
    )


@compiled
def search(
    gates: Gates,
    facts: Facts,
    clusters: Clusters,
    worth: Worth,
    seekers: NDArray[np.int64],
    enough: int,
    near: Near,
) -> None:
    """Fills `near` for `seekers` (places): the nearest groups first, until `enough` were scored."""
    people, words = clusters.of.shape[0], gates.of_gender.shape[1]
    allowed, scratch = np.empty(words, np.uint64), np.empty(words, np.uint64)
    found, chosen = np.empty(people, np.int32), np.empty(people, np.int32)
    alike, steps = np.empty(people, np.float32), np.empty(people, np.int32)
    more = np.zeros(people, np.float32)
    for one in seekers:
        may_meet(gates, one, allowed, scratch)
        fitting, count = gather(clusters, one, allowed, enough, found, chosen)
        similarities(facts, one, chosen, count, alike)
        if worth.session > 0 or worth.length > 0:
            tastes(facts, worth, one, chosen, count, alike, more)
        scores(facts, worth, one, chosen, count, alike, more, steps)
        keep_best(chosen, count, steps, near.who[one], near.steps[one])
        near.fitting[one] = fitting
        near.scored[one] = count


@compiled
def gather(
    clusters: Clusters,
    one: int,
    allowed: NDArray[np.uint64],
    enough: int,
    found: NDArray[np.int32],
    chosen: NDArray[np.int32],
) -> tuple[int, int]:
    """Counts everybody who is allowed, and chooses `enough` of the nearest.

    Of a group that has more than are needed, a person takes those who come next: not everybody the
    same few.
    """
    fitting = count = 0
    for group in clusters.near[clusters.of[one]]:
        if group < 0:
            break
        start, end = clusters.start[group], clusters.start[group + 1]
        if count >= enough:
            fitting += count_bits(allowed, start, end)
            continue
        here = set_bits(allowed, start, end, found)
        first = np.searchsorted(found[:here], one)
        for number in range(min(here, enough - count)):
            chosen[count] = found[(first + number) % here]
            count += 1
        fitting += here
    return fitting, count


@compiled
def set_bits(allowed: NDArray[np.uint64], start: int, end: int, found: NDArray[np.int32]) -> int:
    """Writes the places start..end-1 whose bit is set into `found`; returns how many."""
    count = 0
    for word in range(start // WORD, (end + WORD - 1) // WORD):
        bits = allowed[word] & between(word, start, end)
        while bits:
            found[count] = word * WORD + ones(~bits & (bits - np.uint64(1)))
            bits &= bits - np.uint64(1)
            count += 1
    return count


@compiled
def count_bits(allowed: NDArray[np.uint64], start: int, end: int) -> int:
    """How many of the places start..end-1 have their bit set."""
    count = 0
    for word in range(start // WORD, (end + WORD - 1) // WORD):
        count += ones(allowed[word] & between(word, start, end))
    return count


@compiled
def between(word: int, start: int, end: int) -> np.uint64:
    """Bits of a word that belong to the places start..end-1; some do."""
    bits = ~np.uint64(0)
    if word * WORD < start:
        bits <<= np.uint64(start - word * WORD)
    if (word + 1) * WORD > end:
        bits &= ~np.uint64(0) >> np.uint64((word + 1) * WORD - end)
    return bits


@compiled
def ones(bits: np.uint64) -> int:
    """How many bits are set, without branches: halves are added, then quarters of that, and so on
    (Warren, Hacker's Delight, 5-1)."""
    bits = (bits & np.uint64(0x5555555555555555)) + (
        bits >> np.uint64(1) & np.uint64(0x5555555555555555)
    )
    bits = (bits & np.uint64(0x3333333333333333)) + (
        bits >> np.uint64(2) & np.uint64(0x3333333333333333)
    )
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    bits += bits >> np.uint64(8)
    bits += bits >> np.uint64(16)
    bits += bits >> np.uint64(32)
    return int(bits & np.uint64(0x7F))


@compiled
def similarities(
    facts: Facts, one: int, chosen: NDArray[np.int32], count: int, alike: NDArray[np.float32]
) -> None:
    """Cosines of `one` with the first `count` chosen, 0 to 1; 0 between spaces: not comparable."""
    space, start, vectors, inverse = facts.space, facts.vector_from, facts.vectors, facts.inverse
    mine = vectors[start[one] : start[one + 1]]
    for number in range(count):
        other = chosen[number]
        cosine = np.float32(0)
        if space[one] == space[other]:
            whole = product(mine, vectors[start[other] : start[other + 1]])
            cosine = whole * (inverse[one] * inverse[other])
        alike[number] = min(max(cosine, np.float32(0)), np.float32(1))


@compiled
def tastes(
    facts: Facts,
    worth: Worth,
    one: int,
    chosen: NDArray[np.int32],
    count: int,
    alike: NDArray[np.float32],
    more: NDArray[np.float32],
) -> None:
    """What recent conversations add to the scores of the chosen."""
    space, start, vectors, inverse = facts.space, facts.vector_from, facts.vectors, facts.inverse
    for number in range(count):
        other, session, length = chosen[number], np.float32(0.5), np.float32(0)
        if space[one] == space[other]:
            session = session_term(facts.tastes, vectors, start, inverse, one, other)
        if worth.length > 0:
            level = common_level(facts.spoken, one, other)
            length = length_term(
                worth.curve, facts.tastes, one, other, alike[number], level, session
            )
        more[number] = worth.session * session + worth.length * length


@compiled
def scores(
    facts: Facts,
    worth: Worth,
    one: int,
    chosen: NDArray[np.int32],
    count: int,
    alike: NDArray[np.float32],
    more: NDArray[np.float32],
    steps: NDArray[np.int32],
) -> None:
    """Scores of the chosen in steps, `more` included; 0 where a person still waits for somebody
    more alike."""
    spoken, wanted, credit = facts.spoken, facts.wanted, facts.credit
    for number in range(count):
        other = chosen[number]
        quality = worth.quality[common_level(spoken, one, other)]
        waited = (credit[one] + credit[other]) * np.float32(0.5)
        score = worth.meeting + worth.interests * alike[number] + quality + worth.waiting * waited
        score += more[number]
        patient = alike[number] < max(wanted[one], wanted[other])
        steps[number] = 0 if patient else int(score * worth.steps + np.float32(0.5))


@compiled
def common_level(spoken: NDArray[np.uint64], one: int, other: int) -> int:
    """Best level that both reach in one language; 0: none in common.

    The best of min(level, level) over languages is at least L exactly when some language has both
    at L or better.
    """
    level = 0
    for least in range(spoken.shape[1]):
        both = np.uint64(0)
        for word in range(spoken.shape[2]):
            both |= spoken[one, least, word] & spoken[other, least, word]
        level += both != 0
    return level


@compiled
def keep_best(
    chosen: NDArray[np.int32],
    count: int,
    steps: NDArray[np.int32],
    who: NDArray[np.int32],
    kept: NDArray[np.int32],
) -> None:
    """The highest scores above 0 into `who` and `kept`, the first of equals."""
    most, have, low = who.shape[0], 0, 0
    for number in range(count):
        if have < most and steps[number] > 0:
            who[have], kept[have] = chosen[number], steps[number]
            have += 1
            if have == most:
                low = int(kept.argmin())
        elif have == most and steps[number] > kept[low]:
            who[low], kept[low] = chosen[number], steps[number]
            low = int(kept.argmin())
