"""Session vectors: what their staleness costs (simulated), and how stale they are in the real
service under load, over gRPC, on the embedded log and SQLite.

    python benches/matching_sessions.py [--json]

People arrive at RATE a second, talk a little longer than the shortest talk that teaches anything,
hang up and come back. Lag is from the end of a match until waves may use what it said. Staleness is
what a wave saw of whom it paired. Both are quantiles of the service's own histograms, straight
within a bucket.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import urllib.request
from pathlib import Path

import conversation_length
import session_staleness
from figures import Row, report
from matching_flow import Crowd, service
from prometheus_client.parser import text_string_to_metric_families

from inyeon.matching.workload import Workload, read_workload

BENCH = "session_vector_in_service"
WORKLOAD = Path(__file__).with_name("workloads") / "matching.json"
RATE = 150.0
"""Users a second: 75 matches end every second, and half of the devices talk."""
TALK_S = 3.5
WARM_S, FIGURES_S = 6.0, 20.0
LATE_S = 1.0
"""Bar for the lag's p99: the simulation loses nothing that can be seen at so much."""

Buckets = dict[float, float]


def rows(load: Workload) -> list[Row]:
    """Simulated and measured, about two minutes."""
    return [*session_staleness.rows(), *conversation_length.rows(), *asyncio.run(_measured(load))]


async def _measured(load: Workload) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="inyeon-bench-") as name:
        folder = Path(name)
        started = service(folder, INYEON_MATCHING_SESSIONS="true")
        async with started as (address, metrics, process):
            crowd = Crowd(load, folder, address, process, TALK_S)
            try:
                await crowd.open()
                await crowd.step(RATE, WARM_S)
                before = await asyncio.to_thread(_histograms, metrics)
                step = await crowd.step(RATE, FIGURES_S)
                after = await asyncio.to_thread(_histograms, metrics)
            finally:
                await crowd.close()
    lag, stale = (_since(before[name], after[name]) for name in ("lag", "staleness"))
    return [
        Row(BENCH, "assigned meanwhile", step.assigned_per_s, "users/s"),
        Row(BENCH, "talks encoded", lag[float("inf")], "", 1),
        Row(BENCH, "lag p50", quantile(lag, 0.5), "s", None, "lower"),
        Row(BENCH, "lag p99", quantile(lag, 0.99), "s", LATE_S, "lower"),
        Row(BENCH, "people paired with a vector", stale[float("inf")], "", 1),
        Row(BENCH, "staleness p50", quantile(stale, 0.5), "s", None, "lower"),
        Row(BENCH, "staleness p99", quantile(stale, 0.99), "s", LATE_S, "lower"),
    ]


def quantile(buckets: Buckets, share: float) -> float:
    """Straight between the bounds of its bucket; the bound where all are below the first."""
    wanted, low, below = share * buckets[float("inf")], 0.0, 0.0
    for bound, count in sorted(buckets.items()):
        if count >= wanted:
            return (
                bound
                if count == below
                else low + (bound - low) * (wanted - below) / (count - below)
            )
        low, below = bound, count
    return low


def _since(before: Buckets, after: Buckets) -> Buckets:
    return {bound: count - before[bound] for bound, count in after.items()}


def _histograms(address: str) -> dict[str, Buckets]:
    """By short name: how many were at most each bound."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found: dict[str, Buckets] = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith("inyeon_matching_session_") and family.type == "histogram":
            short = family.name.removeprefix("inyeon_matching_session_").removesuffix("_seconds")
            buckets = [one for one in family.samples if one.name.endswith("_bucket")]
            found[short] = {float(one.labels["le"]): one.value for one in buckets}
    return found


def main() -> int:
    """0 when every bar is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    given = parser.parse_args()
    return report(rows(read_workload(WORKLOAD)), as_json=given.json)


if __name__ == "__main__":
    raise SystemExit(main())
