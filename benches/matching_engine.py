"""The matching engine in process: tickets, passes, totals against exact ones, scoring, memory."""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import matching_plain as plain
import numpy as np
from figures import Row, progress

from inyeon.matching.domain import scoring
from inyeon.matching.domain.field import lay_out
from inyeon.matching.domain.people import AgeBand
from inyeon.matching.domain.pool import Pool
from inyeon.matching.domain.score_models import LINEAR_1
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.searching import nobody_yet, search
from inyeon.matching.domain.waves import Effort, Wave, WaveRules, decide
from inyeon.matching.workload import (
    SyntheticWaiter,
    Workload,
    pool_of,
    read_workload,
    synthetic_waiters,
)

PASSES = {1_000: (15.0, 15), 5_000: (100.0, 11), 20_000: (500.0, 5)}
"""People: bar in ms, runs."""
EXACT = 2_000
NOW_S = 1.0
PASS_S = 1e9
ANYBODY = Patience(start=0.0)
HOARD = 100_000
Made = TypeVar("Made")


def people(load: Workload, count: int, seed: int = 0) -> list[SyntheticWaiter]:
    """The first `count` of the workload."""
    return list(islice(synthetic_waiters(count, load.seed + seed, mix=load.mix), count))


def adds(load: Workload) -> list[Row]:
    """Tickets into a pool that holds 5,000."""
    waiting, coming = people(load, 5_000), people(load, 7_000)[5_000:]
    pool = pool_of(waiting, PASS_S)

    def add() -> None:
        for waiter in coming:
            pool.add(waiter.ticket, 0.0, -waiter.waited_s)

    def take_out() -> None:
        for waiter in coming:
            pool.remove(waiter.ticket.ticket_id, waiter.ticket.user_id)

    rates = []
    for _ in range(7):
        began = time.perf_counter()
        add()
        rates.append(len(coming) / (time.perf_counter() - began))
        take_out()
    return [Row("matching_add", "tickets added, pool of 5,000", median(rates), "/s", 10_000)]


def passes(load: Workload) -> list[Row]:
    """Snapshot, gates, scores, pairs; a shed pass at ten times the effort."""
    return [row for count in PASSES for row in _pass(load, count)]


def _pass(load: Workload, count: int) -> list[Row]:
    bar_ms, runs = PASSES[count]
    rules = WaveRules(ANYBODY, load.routes)
    few = replace(rules, effort=Effort(people=count // 10))
    pool = pool_of(people(load, count), PASS_S)
    wave, took_ms = timed(lambda: decide(pool.snapshot(NOW_S), rules, 1), runs)
    shed, shed_ms = timed(lambda: decide(pool.snapshot(NOW_S), few, 1), runs)
    progress(f"{count} waiting: {took_ms:.1f} ms")
    name = f"matching_pass_{count}"
    return [
        Row(name, "median of a pass", took_ms, "ms", bar_ms, "lower"),
        Row(name, "people paired", 200 * len(wave.pairs) / count, "%"),
        Row(name, "missing of the best total, at most", 100 * wave.gap, "%"),
        Row(name, "with ten times what a pass may take: time", shed_ms, "ms"),
        Row(name, "of these shed, and counted", shed.shed, "people"),
    ]


def against_exact(load: Workload) -> list[Row]:
    """Pairs and totals beside exact matchings of all pairs and beside plain ways."""
    rows = []
    for count in (1_000, EXACT):
        wave = decide(
            pool_of(people(load, count), PASS_S).snapshot(NOW_S),
            WaveRules(ANYBODY, load.routes),
            1,
        )
        progress(f"exact matchings of {count} people")
        everybody = plain.everybody(
            list(wave.snapshot.tickets), wave.snapshot.waited_s, load.routes
        )
        rows += _against(f"matching_exact_{count}", everybody, wave)
    return rows


def _against(name: str, everybody: plain.Everybody, wave: Wave) -> list[Row]:
    ours = [(pair.one, pair.other) for pair in wave.pairs]
    most, exact_ms = timed(lambda: plain.most_pairs(everybody), 1, warm=False)
    best, heaviest_ms = timed(lambda: plain.heaviest(everybody), 1, warm=False)
    first, first_ms = timed(lambda: plain.first_fit(everybody, 1), 3)
    greedy, greedy_ms = timed(lambda: plain.greedy(everybody), 3)
    share = 100 / most
    return [
        Row(name, "pairs, of the most possible", len(ours) * share, "%", 98),
        Row(name, "weight, of the exact optimum", plain.total(everybody, ours) / best, "", 0.96),
        Row(name, "first fit in random order: pairs", len(first) * share, "%"),
        Row(name, "first fit: weight", plain.total(everybody, first) / best, ""),
        Row(name, "greedy: pairs", len(greedy) * share, "%"),
        Row(name, "greedy: weight", plain.total(everybody, greedy) / best, ""),
        Row(name, "first fit, gates given: time", first_ms, "ms"),
        Row(name, "greedy, gates given: time", greedy_ms, "ms"),
        Row(name, "exact most pairs (rustworkx): time", exact_ms, "ms"),
        Row(name, "exact heaviest (rustworkx): time", heaviest_ms, "ms"),
    ]


def scoring_one(load: Workload) -> list[Row]:
    """Gates and scores of one user against 2,000 who all pass the gates."""
    open_to_all = [
        replace(
            waiter,
            ticket=replace(
                waiter.ticket,
                person=replace(waiter.ticket.person, age_band=AgeBand.ADULT),
                wish=replace(
                    waiter.ticket.wish,
                    genders=frozenset(),
                    countries=frozenset(),
                    languages=people(load, 1)[0].ticket.wish.languages,
                ),
            ),
        )
        for waiter in people(load, EXACT + 1)
    ]
    snapshot = pool_of(open_to_all, PASS_S).snapshot(NOW_S)
    field = lay_out(snapshot, load.routes, ANYBODY, 1, 256)
    times_ms, worth = [], scoring.worth(LINEAR_1)
    for one in range(1_000):
        near = nobody_yet(len(snapshot), 16)
        began = time.perf_counter()
        search(field.gates, field.facts, field.clusters, worth, np.array([one]), EXACT, near)
        times_ms.append(1e3 * (time.perf_counter() - began))
        if near.scored[one] != EXACT:
            raise RuntimeError(f"{near.scored[one]} candidates were scored, not {EXACT}")
    cut = statistics.quantiles(times_ms[1:], n=100)
    name = "matching_score_2000"
    return [
        Row(name, "scoring one against 2,000: P90", cut[89], "ms", 2, "lower"),
        Row(name, "P99", cut[98], "ms", 5, "lower"),
        Row(name, "P50", cut[49], "ms"),
    ]


def memory(load: Workload, file: Path) -> list[Row]:
    """Measured in processes of their own."""
    few, many = (_resident_mb(count, file) for count in (20_000, HOARD))
    a_ticket = (many - few) * 1e6 / (HOARD - 20_000) / 1e3
    name = "matching_memory"
    return [
        Row(name, "a waiting ticket, 64-byte vector", a_ticket, "kB", 2, "lower"),
        Row(name, "a process with 100,000 waiting", many, "MB", 400, "lower"),
    ]


def _resident_mb(count: int, file: Path) -> float:
    progress(f"filling a pool with {count}")
    command = [sys.executable, __file__, str(count), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)  # noqa: S603
    return float(done.stdout)


def timed(work: Callable[[], Made], runs: int, warm: bool = True) -> tuple[Made, float]:
    """What it returns, and the median of its times in ms."""
    if warm:
        work()
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        made = work()
        times.append(1e3 * (time.perf_counter() - began))
    return made, median(times)


def median(values: list[float]) -> float:
    """Of at least one."""
    return statistics.median(values)


def fill(count: int, file: Path) -> None:
    """Prints the resident MB of this process with `count` tickets in a pool."""
    load, pool = read_workload(file), Pool()
    for waiter in synthetic_waiters(count, load.seed, mix=load.mix):
        pool.add(waiter.ticket, 0.0, -waiter.waited_s)
        pool.heartbeat(waiter.ticket.user_id, 0.0, present=True, pass_until=PASS_S)
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    print(pages * 4096 / 1e6)


if __name__ == "__main__":
    fill(int(sys.argv[1]), Path(sys.argv[2]))
