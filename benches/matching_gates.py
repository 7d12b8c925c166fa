"""Ten million pairs of the engine before a judge that knows nothing of the engine.

Crowds in which every gate shuts for somebody are paired over and over: in whole passes, in passes
that have to shed (overload), in passes of little effort (fallback), and in passes over newcomers.
Then each gate is taken from the engine in turn: the judge must notice.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from figures import Row, progress
from gate_world import ROUTES, Crowd, Rule, broken, draw, pool_of, without
from numpy.typing import NDArray

from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.waves import Effort, Wave, WaveRules, decide

CROWD = 5_000
PASSES_A_CROWD = 250
SMALL = 1_500
WHOLE = WaveRules(Patience(start=0.0), ROUTES)
QUICK = WaveRules(Patience(start=0.0), ROUTES, Effort(scored=48, kept=8))
PATIENT = WaveRules(Patience(), ROUTES, Effort(scored=96, kept=8))
OVERLOAD = WaveRules(Patience(start=0.0), ROUTES, Effort(people=CROWD // 2, scored=48, kept=8))
FALLBACK = WaveRules(Patience(start=0.0), ROUTES, Effort(scored=12, kept=3))
BENCH = "matching_gates"


def gates(wanted: int, seed: int) -> list[Row]:
    """The rows of this bench."""
    judged, found, crowd_number = 0, 0, 0
    while judged < wanted:
        crowd = draw(CROWD, seed + crowd_number)
        for pairs in _passes(crowd, seed, wanted - judged):
            judged += len(pairs)
            found += sum(broken(crowd, pairs).values())
        crowd_number += 1
        progress(f"{judged:,} of {wanted:,} pairs judged, {found} broken gates")
    noticed = [rule for rule in Rule if rule is not Rule.SAME_USER and _notices(rule, seed)]
    return [
        Row(BENCH, "pairs judged", judged, "pairs", wanted),
        Row(BENCH, "broken gates", found, "", 0, "lower"),
        Row(BENCH, "gates whose loss the judge notices", len(noticed), "of 11", len(Rule) - 1),
        Row(BENCH, "share of pairs broken by random first fit", _random(seed), "%"),
    ]


def _passes(crowd: Crowd, seed: int, most: int) -> Iterator[NDArray[np.int64]]:
    snapshot = pool_of(crowd).snapshot(0.0)
    names = _numbers(snapshot)
    rng, done = np.random.default_rng(seed), 0
    for number in range(PASSES_A_CROWD):
        if done >= most:
            return
        rules = (WHOLE, QUICK, PATIENT, OVERLOAD, FALLBACK)[number % 5]
        seekers = None
        if number % 10 == 9:
            seekers = np.sort(rng.choice(len(snapshot), len(snapshot) // 4, replace=False))
        wave = decide(snapshot, rules, number, seekers)
        pairs = _pairs(wave, names if wave.snapshot is snapshot else _numbers(wave.snapshot))
        done += len(pairs)
        yield pairs


def _notices(rule: Rule, seed: int) -> bool:
    """An engine without this gate makes pairs that break it."""
    crowd = draw(SMALL, seed)
    wave = decide(pool_of(without(crowd, rule)).snapshot(0.0), WHOLE, seed)
    return rule in broken(crowd, _pairs(wave, _numbers(wave.snapshot)))


def _random(seed: int) -> float:
    """What happens where nobody asks."""
    crowd = draw(SMALL, seed)
    order = np.random.default_rng(seed).permutation(SMALL).reshape(-1, 2)
    bad = [bool(broken(crowd, order[number : number + 1])) for number in range(len(order))]
    return 100 * sum(bad) / len(bad)


def _numbers(snapshot: Snapshot) -> NDArray[np.int64]:
    return np.array([int(ticket.user_id[5:]) for ticket in snapshot.tickets], np.int64)


def _pairs(wave: Wave, names: NDArray[np.int64]) -> NDArray[np.int64]:
    ends = [(pair.one, pair.other) for pair in wave.pairs]
    return names[np.array(ends, np.int64).reshape(-1, 2)]
