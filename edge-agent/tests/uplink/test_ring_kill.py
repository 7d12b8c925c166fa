"""The ring under kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inyeon_edge.uplink.ring import DiskRing

pytestmark = pytest.mark.integration

WRITER = """
import sys, time
from pathlib import Path
from inyeon_edge.uplink.ring import DiskRing
ring = DiskRing(Path(sys.argv[1]), time.time)
for n in range(100000):
    key = ring.put(str(n).encode())
    ring.mark(key, n + 1)
    print(n, flush=True)
"""


def test_nothing_that_was_put_is_lost_by_kill_9(tmp_path: Path) -> None:
    process = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", WRITER, str(tmp_path / "ring")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process, process.stdout as lines:
        for line in lines:
            if int(line) == 300:
                os.kill(process.pid, signal.SIGKILL)
                break
        last = max([300, *(int(each) for each in lines if each.strip())])
    with DiskRing(tmp_path / "ring", time.time) as ring:
        kept, key = [], 0
        while (pending := ring.after(key)) is not None:
            kept.append(int(pending.payload))
            key = pending.key
    assert kept[: last + 1] == list(range(last + 1))
    assert len(kept) <= last + 2
