"""The event loop of a process, uvloop where it exists, and how seldom it stops for garbage."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# Containers alive more than before: after 10,000 the youngest are looked at (1 ms), after 2 million
# all of them. By Python's own 700, 10 and 10 a replica with 3,000 streams spent a seventh of its
# time on looking.
THRESHOLDS = (10_000, 20, 10)


def run(main: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run: a new loop for `main`, closed with everything on it when that ends."""
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def collect_less() -> None:
    """Call it once a process stands: what is there now stays, so the collector never looks at it
    again, and looks seldom at the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
