"""Faults on purpose on real engines, and whether anything was lost or done twice.

    make chaos                 # everything, some 35 min on two cores
    benches/chaos.py --level log --kills 20 --restarts 4

Nothing here is timed by chance: what counts is what was lost, doubled or broken. Recovery is from
the kill (the engine's own start included) until every key of the workload had an effect again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from figures import Row, progress, report

from inyeon_chaos.log_scenario import ONE_OF_THREE, RESTART, Plan, one_broker, three_brokers
from inyeon_chaos.measured import Measured
from inyeon_stack import EngineMissing

RESTART_BAR_S = 60.0
LOSSES = 6
LEVELS = ("log", "cluster")


def main() -> int:
    """0 when every bar holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--level", choices=LEVELS, action="append")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--losses", type=int, default=LOSSES)
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
    return report([row for one in measured for row in rows_of(one)], as_json=options.json)


def rows_of(measured: Measured) -> list[Row]:
    """The table of one level."""
    name = f"chaos {measured.name}"
    rows = [
        Row(name, "kill -9 of services", measured.kills, "kills"),
        Row(name, "brokers restarted", measured.restarts, "restarts"),
        Row(name, "accepted", measured.accepted, "events"),
        Row(name, "published again, same event", measured.republished, "records"),
        Row(name, "lost", measured.lost, "events", 0, "lower"),
        Row(name, "doubled", measured.doubled, "events", 0, "lower"),
        Row(name, "invariants broken", len(measured.breaches), "breaches", 0, "lower"),
        Row(name, "processes that ended by themselves", measured.crashes, "ends", 0, "lower"),
    ]
    for what in measured.recoveries_s:
        bar = RESTART_BAR_S if what in (RESTART, ONE_OF_THREE) else None
        rows.append(Row(name, f"{what}: works again, p50", measured.median_s(what), "s"))
        rows.append(
            Row(name, f"{what}: works again, max", measured.longest_s(what), "s", bar, "lower")
        )
    return rows


async def _run(options: argparse.Namespace) -> list[Measured]:
    plan = Plan(kills=options.kills, restarts=options.restarts)
    levels: dict[str, Callable[[Path], Awaitable[Measured]]] = {
        "log": lambda folder: one_broker(folder, plan, progress),
        "cluster": lambda folder: three_brokers(folder, options.losses, progress),
    }
    with contextlib.ExitStack() as stack:
        root = options.keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="inyeon-chaos-"))
        )
        found = []
        for level in options.level or LEVELS:
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
