"""60 s of Locust against an own platform on free ports; exit code by SLO.

Workload: loadtest/locustfile.py, 20 users, 5 more a second, its seed. Figures are Locust's own
statistics.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from figures import Row, progress, report
from own_platform import BIN, own_platform

LOADTEST = Path(__file__).resolve().parent.parent / "loadtest"
USERS = 20
SPAWN_PER_S = 5
LOAD_S = 60
RUN_S = LOAD_S + 60.0  # Locust's own start and stop on a busy machine


@dataclass(frozen=True, slots=True)
class Slo:
    """p95 of one kind of request, in ms, and how many there must be at least."""

    name: str
    p95_ms: float
    at_least: int


# An Observe acknowledgement waits up to 500 ms for its group commit; as much again is spare. A
# Converse acknowledgement waits for the partner's device, which first sees its match within a tick
# (0.25 s) and opens its stream at the same moment as everybody whom the wave matched.
SLOS = (
    Slo("token: issue", 500, USERS),
    Slo("observe: open", 500, USERS),
    Slo("observe: acknowledged", 1_000, USERS * 30),
    Slo("seek: time to match", 10_000, USERS),
    Slo("converse: acknowledged", 2_000, USERS // 2),
)


def main() -> int:
    """0 when every SLO holds and nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="inyeon-load-") as folder,
        own_platform(Path(folder)) as platform,
    ):
        progress(f"{USERS} users for {LOAD_S} s against 127.0.0.1:{platform.grpc_port}")
        statistics = load(platform.grpc_port, Path(folder))
    return report(rows_of(statistics), as_json=options.json)


def load(port: int, folder: Path) -> dict[str, dict[str, str]]:
    """Runs Locust; its statistics by name."""
    command: list[str | Path] = [
        *(BIN / "locust", "-f", LOADTEST / "locustfile.py", "--headless", "--only-summary"),
        *("-u", str(USERS), "-r", str(SPAWN_PER_S), "-t", f"{LOAD_S}s"),
        *("--host", f"127.0.0.1:{port}", "--csv", folder / "figures", "--loglevel", "WARNING"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(LOADTEST)}
    done = subprocess.run(  # noqa: S603 - our own environment's program
        command, timeout=RUN_S, check=False, stdout=sys.stderr, env=environment
    )
    if done.returncode not in (0, 1):  # 1: some request failed; the rows say which
        raise SystemExit(f"locust ended with {done.returncode}")
    with (folder / "figures_stats.csv").open() as file:
        return {row["Name"]: row for row in csv.DictReader(file)}


def rows_of(statistics: dict[str, dict[str, str]]) -> list[Row]:
    """Two rows an SLO and one for failures."""
    rows = []
    for slo in SLOS:
        found = statistics.get(slo.name)
        p95_ms = float(found["95%"]) if found else float("inf")
        count = int(found["Request Count"]) if found else 0
        rows.append(Row("load-smoke", f"{slo.name}, p95", p95_ms, "ms", slo.p95_ms, "lower"))
        rows.append(Row("load-smoke", f"{slo.name}, count", count, "requests", slo.at_least))
    failures = int(statistics["Aggregated"]["Failure Count"])
    rows.append(Row("load-smoke", "failures", failures, "requests", 0, "lower"))
    return rows


if __name__ == "__main__":
    sys.exit(main())
