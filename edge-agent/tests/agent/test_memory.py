"""Freed pictures leave the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

# In a process of its own: the setting is for the whole process and only before threads start.
GROW_AND_FREE = """
import psutil, threading
from inyeon_edge.agent.memory import keep_small
keep_small()
def work():
    for size in (100_000, 300_000, 1_000_000, 4_000_000, 300_000):
        held = [bytearray(size) for _ in range(20)]
        del held
threads = [threading.Thread(target=work) for _ in range(8)]
before = psutil.Process().memory_info().rss
for t in threads: t.start()
for t in threads: t.join()
print((psutil.Process().memory_info().rss - before) // 1_000_000)
"""
KEPT_MB = 40  # 80 MB were held at once by each of eight threads


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_freed_pictures_leave_the_process() -> None:
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", GROW_AND_FREE],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert int(done.stdout) < KEPT_MB
