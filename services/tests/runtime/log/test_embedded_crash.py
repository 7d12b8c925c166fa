"""What was acknowledged survives kill -9 at any point."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from inyeon.runtime.log.embedded import EmbeddedLog
from inyeon.runtime.log.port import Record

pytestmark = pytest.mark.unit

# Publishes from eight tasks, single records and batches, and says of each one, after its
# acknowledgement, where it is.
APPENDER = """
import asyncio, os, sys
from pathlib import Path
from inyeon.runtime.log.embedded import EmbeddedLog
from inyeon.runtime.log.port import NewRecord, TopicSpec

async def publish(log, task):
    for i in range(100_000):
        size = 1 if task % 2 else 1 + i % 5
        values = [f"{task}:{i}:{n}" for n in range(size)]
        records = [NewRecord("t", f"key-{task}", v.encode() * 20) for v in values]
        positions = await log.publish(records)
        said = [f"{p.partition} {p.offset} {v}\\n" for p, v in zip(positions, values)]
        os.write(1, "".join(said).encode())

async def main():
    log = await EmbeddedLog.open(Path(sys.argv[1]))
    await log.create_topics([TopicSpec("t", 3)])
    await asyncio.gather(*[publish(log, task) for task in range(8)])

asyncio.run(main())
"""


@pytest.mark.parametrize("seed", range(4))
async def test_every_acknowledged_record_survives_kill_9(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "log.db"
    acknowledged: dict[tuple[int, int], str] = {}
    for enough in _kill_points(seed):
        acknowledged |= await _append_until_killed(path, enough)
        by_partition = await _read(path)
        for (partition, offset), value in acknowledged.items():
            assert by_partition[partition][offset].value == value.encode() * 20
        for records in by_partition.values():
            assert [r.offset for r in records] == list(range(len(records)))
            _assert_tasks_in_order(records)


def _kill_points(seed: int) -> list[int]:
    """After how many acknowledged records each of two processes on the same file dies."""
    draw = random.Random(seed)
    return [draw.randrange(1, 400) for _ in range(2)]


async def _append_until_killed(path: Path, enough: int) -> dict[tuple[int, int], str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", APPENDER, str(path), stdout=PIPE, env={**os.environ}
    )
    async with asyncio.timeout(60):
        lines = await _lines(process, enough)
        process.send_signal(signal.SIGKILL)
        assert process.stdout is not None
        rest = await process.stdout.read()
        await process.wait()
    lines += rest.decode().splitlines(keepends=True)
    whole = [line.split() for line in lines if line.endswith("\n")]
    return {(int(partition), int(offset)): value for partition, offset, value in whole}


async def _lines(process: Process, enough: int) -> list[str]:
    assert process.stdout is not None
    lines = [(await process.stdout.readline()).decode() for _ in range(enough)]
    assert all(lines), "the appender ended by itself"
    return lines


async def _read(path: Path) -> dict[int, list[Record]]:
    log = await EmbeddedLog.open(path)
    try:
        reader = await log.read_all(["t"])
        found: dict[int, list[Record]] = {0: [], 1: [], 2: []}
        while not await reader.caught_up():
            for record in await reader.poll(1_000, 0.0):
                found[record.partition].append(record)
        return found
    finally:
        await log.close()


def _assert_tasks_in_order(records: list[Record]) -> None:
    """Each task awaited its publish before the next, so its numbers rise; two processes count anew
    from zero."""
    by_key: dict[str, list[tuple[int, ...]]] = {}
    for record in records:
        value = (record.value or b"").decode()
        text = value[: len(value) // 20]
        by_key.setdefault(record.key, []).append(tuple(int(n) for n in text.split(":")))
    for numbers in by_key.values():
        starts = [i for i, n in enumerate(numbers) if n[1:] == (0, 0)]
        for start, end in zip(starts, [*starts[1:], len(numbers)], strict=True):
            assert numbers[start:end] == sorted(numbers[start:end])
