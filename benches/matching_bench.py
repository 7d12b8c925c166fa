"""All figures of matching beside plain ways and exact answers. Prints a table, or JSON lines with
`--json`; `--only NAME` runs a part.

The workload and its seed are in `benches/workloads/matching.json`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

# Read when numpy loads. A pass multiplies small matrices: more threads only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import matching_engine as engine
import matching_sessions as sessions
import mutual_interest
from figures import Row, progress, report
from matching_flow import flow
from matching_gates import gates

from inyeon.matching.workload import read_workload

WORKLOAD = Path(__file__).with_name("workloads") / "matching.json"
JUDGED = 10_000_000


def main() -> int:
    """0 when every bar is met."""
    load = read_workload(WORKLOAD)
    parts: dict[str, Callable[[], list[Row]]] = {
        "add": lambda: engine.adds(load),
        "pass": lambda: engine.passes(load),
        "exact": lambda: engine.against_exact(load),
        "score": lambda: engine.scoring_one(load),
        "interest": mutual_interest.rows,
        "sessions": lambda: sessions.rows(load),
        "memory": lambda: engine.memory(load, WORKLOAD),
        "flow": lambda: flow(load),
        "gates": lambda: gates(given.pairs, load.seed),
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    parser.add_argument("--only", choices=parts, action="append", help="only this part")
    parser.add_argument("--pairs", type=int, default=JUDGED, help="pairs before the judge")
    given = parser.parse_args()
    rows: list[Row] = []
    for name in given.only or parts:
        progress(f"matching: {name}")
        rows += parts[name]()
    return report(rows, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
