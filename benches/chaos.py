"""Faults on purpose on real engines, and whether anything was lost or done twice.

    make chaos                 # everything, some 30 min on two cores
    PYTHONPATH=loadtest .venv/bin/python benches/chaos.py --level log --kills 20 --restarts 4

Nothing here is timed by chance: what counts is what was lost, doubled or broken. Recovery is from
the kill (the engine's own start included) until every key of the workload had an effect again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from figures import Row, progress, report

from inyeon_chaos.log_scenario import ONE_OF_THREE, RESTART, Plan, one_broker, three_brokers
from inyeon_chaos.measured import Measured
from inyeon_chaos.platform_scenario import OWNER_KILLED, PlatformPlan, platform
from inyeon_stack import EngineMissing

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = Path(os.environ.get("STACK_FOLDER") or ROOT / "build" / "stack") / "repository"
BARS_S = {RESTART: 60.0, ONE_OF_THREE: 60.0, OWNER_KILLED: 10.0}
LEVELS = ("log", "cluster", "platform")
# The platform's are slow, for whole services start again: a fifth of the kills. A cluster that
# loses a broker says most about brokers, but takes three times the memory.
KILLS = {"log": 4, "platform": 1}
RESTARTS = {"log": 6, "cluster": 3, "platform": 1}
LONG_FROM = 20  # kills: a smaller run leaves out what takes minutes by itself


def main() -> int:
    """0 when every bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--level", choices=LEVELS, action="append")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--repository", type=Path, default=REPOSITORY, help="models for Triton")
    parser.add_argument("--keep", type=Path, help="folder that keeps histories and logs")
    options = parser.parse_args()
    try:
        measured = asyncio.run(_interruptible(_run(options)))
    except EngineMissing as missing:
        progress(str(missing))
        return 1
    for one in measured:
        for breach in one.breaches[:20]:
            progress(f"{one.name}: {breach}")
    rows = [row for one in measured for row in rows_of(one)]
    return report(rows + totals(measured, options), as_json=options.json)


def shares(total: int, weights: Mapping[str, int], levels: Sequence[str]) -> dict[str, int]:
    """So many of `total` for each level, by weight; the first one gets what is left over."""
    taking = [level for level in weights if level in levels]
    whole = sum(weights[level] for level in taking)
    found = {level: total * weights[level] // whole for level in taking}
    if taking:
        found[taking[0]] += total - sum(found.values())
    return found


def totals(measured: Sequence[Measured], options: argparse.Namespace) -> list[Row]:
    """What was asked for has been done."""
    kills, restarts = sum(one.kills for one in measured), sum(one.restarts for one in measured)
    return [
        Row("chaos", "kill -9 of services, all levels", kills, "kills", options.kills),
        Row("chaos", "brokers restarted, all levels", restarts, "restarts", options.restarts),
    ]


def rows_of(measured: Measured) -> list[Row]:
    """The table of one level."""
    name = f"chaos {measured.name}"
    rows = [
        Row(name, "kill -9 of services", measured.kills, "kills"),
        Row(name, "brokers restarted", measured.restarts, "restarts"),
        Row(name, "accepted", measured.accepted, "events"),
        Row(name, "invariants broken", len(measured.breaches), "breaches", 0, "lower"),
        Row(name, "processes that ended by themselves", measured.crashes, "ends", 0, "lower"),
    ]
    if measured.counted:
        rows += [
            Row(name, "published again, same event", measured.republished, "records"),
            Row(name, "lost", measured.lost, "events", 0, "lower"),
            Row(name, "doubled", measured.doubled, "events", 0, "lower"),
        ]
    rows += [Row(name, f.what, f.value, f.unit, f.bar, f.better) for f in measured.figures]
    for what in measured.recoveries_s:
        bar = BARS_S.get(what)
        rows.append(Row(name, f"{what}: works again, p50", measured.median_s(what), "s"))
        rows.append(
            Row(name, f"{what}: works again, max", measured.longest_s(what), "s", bar, "lower")
        )
    return rows


async def _run(options: argparse.Namespace) -> list[Measured]:
    chosen = options.level or LEVELS
    kills = shares(options.kills, KILLS, chosen)
    restarts = shares(options.restarts, RESTARTS, chosen)
    long = options.kills >= LONG_FROM
    log = Plan(kills.get("log", 0), restarts.get("log", 0), long_faults=long)
    whole = PlatformPlan(kills.get("platform", 0), restarts.get("platform", 0), long_faults=long)
    levels: dict[str, Callable[[Path], Awaitable[Measured]]] = {
        "log": lambda folder: one_broker(folder, log, progress),
        "cluster": lambda folder: three_brokers(folder, restarts.get("cluster", 0), progress),
        "platform": lambda folder: platform(folder, whole, options.repository, progress),
    }
    with contextlib.ExitStack() as stack:
        root = options.keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="inyeon-chaos-"))
        )
        found = []
        for level in chosen:
            folder = root / level
            folder.mkdir(parents=True)
            for one in (root, folder):
                one.chmod(0o711)  # PostgreSQL enters it as another user where we are root
            found.append(await levels[level](folder))
        return found


async def _interruptible(work: Awaitable[list[Measured]]) -> list[Measured]:
    """SIGTERM ends what was started, as Ctrl-C does."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


if __name__ == "__main__":
    sys.exit(main())
