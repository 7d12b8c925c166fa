"""Quality against staleness of the session vector, 0 to 16 s, in a simulation (session_world.py).

    python benches/session_staleness.py [--json]

SIMULATED, to see what a late vector costs and not how good it is. Quality is the mean hidden liking
of both people over all conversations of an evening, as a share of the way from scores without
session vectors to those with fresh ones.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from figures import Row, report
from session_world import Exact, evening

BENCH = "session_vector_simulated"
STALENESS_S = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
SEEDS = range(10)
PERCENT = 100
KEPT = 0.75
"""Bar: share of the gain that must be left at 4 s, the latest that a busy encoder may be."""


def rows() -> list[Row]:
    """The curve, about half a minute."""
    curve = {staleness_s: quality(staleness_s) for staleness_s in (math.inf, *STALENESS_S)}
    plain, fresh = curve[math.inf], curve[0.0]
    gain, error = float((fresh - plain).mean()), _error(fresh - plain)
    found = [
        Row(BENCH, "liking without session vectors", PERCENT * float(plain.mean()), "% cosine"),
        Row(BENCH, "liking with fresh ones", PERCENT * float(fresh.mean()), "% cosine"),
        Row(BENCH, "gain less two standard errors", PERCENT * (gain - 2 * error), "% cosine", 0.0),
    ]
    for staleness_s in STALENESS_S[1:]:
        kept = float((curve[staleness_s] - plain).mean()) / gain
        off = _error(curve[staleness_s] - fresh) / gain
        bar = KEPT if staleness_s <= 4.0 else None
        found.append(Row(BENCH, f"gain left at {staleness_s:g} s", kept, "of fresh", bar))
        found.append(Row(BENCH, f"its standard error at {staleness_s:g} s", off, "", None, "lower"))
    return found


def quality(staleness_s: float) -> Exact:
    """(seeds,) mean liking of each evening."""
    evenings = (evening(seed, staleness_s) for seed in SEEDS)
    return np.array([np.mean([talk.liking for talk in talks]) for talks in evenings])


def _error(differences: Exact) -> float:
    return float(differences.std(ddof=1)) / math.sqrt(len(differences))


def main() -> int:
    """0 when every bar is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    return report(rows(), as_json=parser.parse_args().json)


if __name__ == "__main__":
    raise SystemExit(main())
