"""One pass of matching over 1,000 waiting people, beside a plain double loop on the same people.

Reciprocal gates, eight skewed languages, gender and country filters: the workload and its seed are
in `inyeon.matching.workload`. Prints a table, or JSON lines with `--json`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

# Read when numpy loads. A pass multiplies small matrices: more threads only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import networkx as nx  # type: ignore[import-untyped] # publishes no types
from figures import Row, report

from inyeon.matching.domain import scoring
from inyeon.matching.domain.edges import find_candidates
from inyeon.matching.domain.languages import Routes
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.solving import greedy, solve
from inyeon.matching.domain.tickets import Ticket
from inyeon.matching.domain.waves import WaveRules, decide
from inyeon.matching.workload import synthetic_pool

PEOPLE = 1_000
SEED = 20_26
EXACT_PEOPLE = 300
ROUTES = Routes.parse(["en-es", "en-fr", "en-pt", "es-pt"])
RULES = WaveRules(Patience(), ROUTES)
NOW_S = 1.0


def main() -> int:
    """0 when every bar is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    parser.add_argument("--repeats", type=int, default=15, help="passes, at least 9")
    given = parser.parse_args()
    rows = [*passes(max(given.repeats, 9)), *against_the_optimum()]
    return report(rows, as_json=given.json)


def passes(repeats: int) -> list[Row]:
    """Our pass (snapshot, gates, scores, pairs) and the double loop."""
    pool = synthetic_pool(PEOPLE, SEED)
    wave = decide(pool.snapshot(NOW_S), RULES, 1)
    ours_ms = median_ms(lambda: decide(pool.snapshot(NOW_S), RULES, 1), repeats)
    cpu_ms = median_ms(lambda: decide(pool.snapshot(NOW_S), RULES, 1), repeats, time.process_time)
    tickets = list(wave.snapshot.tickets)
    plain_ms = median_ms(lambda: plain_pass(tickets), 3)
    paired = 200 * len(wave.pairs) / PEOPLE
    name = "matching_pass_1000"
    return [
        Row(name, "median of a pass", ours_ms, "ms", 50.0, "lower"),
        Row(name, "its CPU time, all threads", cpu_ms, "ms", None, "lower"),
        Row(name, "people paired", paired, "%"),
        Row(name, "plain double loop", plain_ms, "ms", None, "lower"),
        Row(name, "double loop / ours", plain_ms / ours_ms, "x"),
    ]


def against_the_optimum() -> list[Row]:
    """Total score of 300 people against the exact optimum, for information."""
    snapshot = synthetic_pool(EXACT_PEOPLE, SEED).snapshot(NOW_S)
    edges = find_candidates(snapshot, ROUTES, Patience(), 1).edges
    graph = nx.Graph()
    triples = zip(edges.one.tolist(), edges.other.tolist(), edges.steps.tolist(), strict=True)
    graph.add_weighted_edges_from(triples)
    best = sum(graph[one][other]["weight"] for one, other in nx.max_weight_matching(graph))
    name = f"matching_weight_{EXACT_PEOPLE}"
    return [
        Row(name, kind, float(weights.sum()) / 2 / best, "of optimum")
        for kind, (_, weights) in {
            "greedy": greedy(edges, EXACT_PEOPLE),
            "greedy + exchanges": solve(edges, EXACT_PEOPLE),
        }.items()
    ]


def plain_pass(tickets: list[Ticket]) -> int:
    """What one would write first: every pair in Python, first fit by score. Pairs made."""
    found: list[tuple[float, int, int]] = []
    for one in range(len(tickets)):
        for other in range(one + 1, len(tickets)):
            if plain_fit(tickets[one], tickets[other]):
                found.append((plain_score(tickets[one], tickets[other]), one, other))
    found.sort(reverse=True)
    taken: set[int] = set()
    for _, one, other in found:
        if one not in taken and other not in taken:
            taken.update((one, other))
    return len(taken) // 2


def plain_fit(one: Ticket, other: Ticket) -> bool:
    """Gates between two people, spelled out."""
    if one.person.age_band is not other.person.age_band:
        return False
    for seeker, found in ((one, other), (other, one)):
        if seeker.wish.genders and found.person.gender not in seeker.wish.genders:
            return False
        if seeker.wish.countries and found.person.country not in seeker.wish.countries:
            return False
    mine = {spoken.tag for spoken in one.wish.languages}
    theirs = {spoken.tag for spoken in other.wish.languages}
    if mine & theirs:
        return True
    welcome = one.wish.translation_welcome and other.wish.translation_welcome
    return welcome and any(ROUTES.between(a, b) for a in mine for b in theirs)


def plain_score(one: Ticket, other: Ticket) -> float:
    """Similarity and languages; waiting time is left out, which favours the double loop."""
    cosine = float(one.wish.interests.direction @ other.wish.interests.direction)
    levels = {spoken.tag: spoken.level for spoken in one.wish.languages}
    common = [min(s.level, levels[s.tag]) for s in other.wish.languages if s.tag in levels]
    quality = max(common) / 5 if common else scoring.TRANSLATED
    return scoring.MEETING + max(cosine, 0.0) + scoring.LANGUAGE * quality


def median_ms(
    work: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Median time of so many runs by that clock, after one that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        began = clock()
        work()
        times.append(clock() - began)
    return 1000 * statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
