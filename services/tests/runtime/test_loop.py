"""The process's loop and its collector."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from inyeon.runtime.loop import THRESHOLDS, run

pytestmark = pytest.mark.unit

# In a process of its own: what it freezes stays frozen.
PROGRAM = """
import gc, json
from inyeon.runtime.loop import collect_less
kept = [[] for _ in range(1_000)]
before = gc.get_freeze_count()
collect_less()
print(json.dumps([gc.get_freeze_count() - before >= 1_000, gc.get_threshold(), gc.isenabled()]))
"""


def test_runs_on_a_loop_of_its_own_and_closes_it() -> None:
    seen: list[asyncio.AbstractEventLoop] = []

    async def main() -> str:
        seen.append(asyncio.get_running_loop())
        return "done"

    assert run(main()) == "done"
    assert seen[0].is_closed()
    if sys.platform != "win32":
        assert type(seen[0]).__module__ == "uvloop"


def test_what_is_there_at_the_start_is_never_looked_at_again() -> None:
    done = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == [True, list(THRESHOLDS), True]
