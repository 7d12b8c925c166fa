"""The embedded log beyond the contract: files, processes, deadlines."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from inyeon.runtime.clock import ManualClock
from inyeon.runtime.errors import LogCorrupt, LogFenced, LogUnavailable
from inyeon.runtime.log import embedded as embedded_module
from inyeon.runtime.log.embedded import EmbeddedLog
from inyeon.runtime.log.embedded_writer import Pages
from inyeon.runtime.log.port import NewRecord, Position, Record, TopicSpec

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]

pytestmark = pytest.mark.unit


async def test_keeps_everything_between_two_openings(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "log.db"
    log = await EmbeddedLog.open(path)
    await log.create_topics([TopicSpec("t", 2)])
    positions = await log.publish([NewRecord("t", f"k{i}", b"v", {"h": "1"}) for i in range(10)])
    member = await log.join("g", ["t"])
    await member.commit([p for p in positions if p.partition == 0])
    await log.close()
    log = await EmbeddedLog.open(path)
    member = await log.join("g", ["t"])
    got = await member.poll(100, 0.0)
    assert {r.partition for r in got} == {1}
    assert len(got) == sum(p.partition == 1 for p in positions)
    assert (await log.publish([NewRecord("t", "k0", b"v")]))[0].offset > 0
    await log.close()


async def test_concurrent_publishers_share_transactions(embedded: EmbeddedLog) -> None:
    await embedded.create_topics([TopicSpec("t", 1)])
    begun: list[str] = []
    counting = embedded._writer
    original = counting._take

    def counted() -> list[object]:
        jobs = original()
        begun.append("one")
        return list(jobs)

    counting._take = counted  # type: ignore[method-assign, assignment]
    calls = [embedded.publish([NewRecord("t", f"k{i}", b"v")]) for i in range(500)]
    done = await asyncio.gather(*calls)
    assert sorted(p[0].offset for p in done) == list(range(500))
    assert len(begun) < 100


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (random.Random(1).randbytes(8_192), "not a database"),
        (b"SQLite format 3\0" + bytes(2_000), "not a database|malformed|version"),
        (b"x", "not a database"),
    ],
)
async def test_garbage_is_refused_by_name(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(content)
    with pytest.raises(LogCorrupt, match=said) as refused:
        await EmbeddedLog.open(path)
    assert str(path) in str(refused.value)


async def test_an_empty_file_is_a_new_log(tmp_path: Path) -> None:
    (tmp_path / "log.db").touch()
    log = await EmbeddedLog.open(tmp_path / "log.db")
    await log.create_topics([TopicSpec("t")])
    await log.close()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
async def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path = await _filled(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(LogCorrupt):
        await EmbeddedLog.open(path)


async def test_a_damaged_page_is_refused(tmp_path: Path) -> None:
    path = await _filled(tmp_path)
    whole = bytearray(path.read_bytes())
    whole[8_192:16_384] = random.Random(2).randbytes(8_192)
    path.write_bytes(whole)
    with pytest.raises(LogCorrupt):
        await EmbeddedLog.open(path)


async def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE people (name TEXT)")
    with pytest.raises(LogCorrupt, match="no log of ours"):
        await EmbeddedLog.open(path)


async def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = await _filled(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(LogCorrupt, match="version 99"):
        await EmbeddedLog.open(path)


async def test_a_path_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogUnavailable):
        await EmbeddedLog.open(tmp_path / "file" / "log.db")
    with pytest.raises(LogUnavailable):
        await EmbeddedLog.open(tmp_path)


async def test_records_and_topics_of_another_process_are_seen(
    tmp_path: Path, eventually: Eventually
) -> None:
    path = tmp_path / "log.db"
    log = await EmbeddedLog.open(path)
    await log.create_topics([TopicSpec("t", 1)])
    await log.publish([NewRecord("t", "k", b"0")])
    reader = await log.read_all(["t"])
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from inyeon.runtime.log.embedded import EmbeddedLog\n"
        "from inyeon.runtime.log.port import NewRecord, TopicSpec\n"
        "async def main():\n"
        "    log = await EmbeddedLog.open(Path(sys.argv[1]))\n"
        "    await log.create_topics([TopicSpec('other', 1)])\n"
        "    for i in range(1, 50): await log.publish([NewRecord('t', 'k', b'%d' % i)])\n"
        "    await log.close()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, path, stdout=PIPE)
    for _ in range(50):
        await log.publish([NewRecord("t", "k", b"ours")])
    got: list[Record] = []
    async with asyncio.timeout(30):
        while len(got) < 100:
            got += await reader.poll(100, 1.0)
        assert await process.wait() == 0
    assert [r.offset for r in got] == list(range(100))
    theirs = [r.value for r in got if r.value != b"ours"]
    assert theirs == [b"%d" % i for i in range(50)]
    await eventually(lambda: "other" in log._specs)
    assert log.spec("other").partitions == 1
    await log.close()


async def test_another_process_takes_a_group_over(tmp_path: Path) -> None:
    one = await EmbeddedLog.open(tmp_path / "log.db")
    await one.create_topics([TopicSpec("t", 2)])
    await one.publish([NewRecord("t", "k", b"v")])
    member = await one.join("g", ["t"])
    got = await member.poll(10, 0.0)
    other = await EmbeddedLog.open(tmp_path / "log.db")
    taken = await other.join("g", ["t"])
    with pytest.raises(LogFenced, match="another process"):
        await member.commit([Position("t", got[0].partition, got[0].offset)])
    assert member.assigned() == frozenset()
    assert [r.value for r in await taken.poll(10, 0.0)] == [b"v"]
    await taken.commit([Position("t", got[0].partition, got[0].offset)])
    await one.close()
    await other.close()


async def test_another_process_takes_a_name_over(tmp_path: Path) -> None:
    one, other = [await EmbeddedLog.open(tmp_path / "log.db") for _ in range(2)]
    await one.create_topics([TopicSpec("t", 2)])
    await one.publish([NewRecord("t", "k", b"v")])
    place = (await (await one.read_all(["t"])).poll(1, 0.0))[0].partition
    await other.create_topics([TopicSpec("t", 2)])
    for here, there in ((one, other), (other, one)):
        member = await here.join("g", ["t"], member="owner")
        assert len(await member.poll(10, 0.0)) == 1
        taken = await there.join("g", ["t"], member="owner")
        with pytest.raises(LogFenced, match="another process"):
            await member.commit([Position("t", place, 0)])
        with pytest.raises(LogFenced, match="'owner'"):
            await member.poll(10, 0.0)
        await member.close()
        assert len(await taken.poll(10, 0.0)) == 1
        await taken.close()
    await one.close()
    await other.close()


async def test_an_empty_poll_takes_as_long_as_asked(embedded: EmbeddedLog) -> None:
    await embedded.create_topics([TopicSpec("t")])
    reader = await embedded.read_all(["t"])
    started_s = time.monotonic()
    assert not await reader.poll(10, 0.05)
    assert 0.045 <= time.monotonic() - started_s < 5.0


async def test_a_held_write_lock_is_unavailable_not_a_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await EmbeddedLog.open(tmp_path / "log.db")
    await log.create_topics([TopicSpec("t", 1)])
    monkeypatch.setattr(embedded_module, "WRITE_DEADLINE_S", 0.05)
    with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as locking:
        locking.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogUnavailable, match="it may still be"):
            await log.publish([NewRecord("t", "k", b"late")])
        locking.execute("ROLLBACK")
    monkeypatch.undo()
    assert (await log.publish([NewRecord("t", "k", b"next")]))[0].offset == 1
    await log.close()


async def test_a_failing_disk_fails_the_call_and_leaves_the_log_usable(
    embedded: EmbeddedLog,
) -> None:
    await embedded.create_topics([TopicSpec("t", 1)])
    limit = await _set_page_limit(embedded, 1)  # SQLite takes the size it has for the limit
    with pytest.raises(LogUnavailable, match="full"):
        for _ in range(limit):
            await embedded.publish([NewRecord("t", "k", bytes(100_000))])
    ends = len(await (await embedded.read_all(["t"])).poll(1_000, 0.0))
    await _set_page_limit(embedded, 1_000_000)
    assert (await embedded.publish([NewRecord("t", "k", b"v")]))[0].offset == ends


async def test_a_failing_job_fails_its_callers_and_the_next_one_works(
    embedded: EmbeddedLog,
) -> None:
    await embedded.create_topics([TopicSpec("t", 1)])

    def fails(pages: Pages) -> None:
        pages.connection.execute("DELETE FROM partitions")
        raise ZeroDivisionError("a bug")

    def breaks_the_connection(pages: Pages) -> None:
        pages.connection.close()

    for job in (fails, breaks_the_connection):
        with pytest.raises(LogUnavailable):
            await embedded._write(job)
        await embedded.publish([NewRecord("t", "k", b"v")])
    assert [r.offset for r in await (await embedded.read_all(["t"])).poll(9, 0.0)] == [0, 1]


async def test_a_failing_read_is_unavailable(embedded: EmbeddedLog) -> None:
    with pytest.raises(LogUnavailable, match="no such table"):
        await embedded._file.run(lambda c: c.execute("SELECT * FROM nowhere"))


async def test_a_caller_that_gives_up_leaves_room_for_others(embedded: EmbeddedLog) -> None:
    await embedded.create_topics([TopicSpec("t", 1)])
    call = asyncio.create_task(embedded.publish([NewRecord("t", "k", b"v")]))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await embedded.publish([NewRecord("t", "k", b"v")])
    assert embedded._room._value == embedded_module.HAND_OVER


async def test_retention_in_many_steps_gives_room_back(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "log.db"
    log = await EmbeddedLog.open(path, clock)
    await log.create_topics([TopicSpec("t", 1, timedelta(minutes=1))])
    for _ in range(5):
        await log.publish([NewRecord("t", "k", bytes(1_000)) for _ in range(1_000)])
    await clock.advance(61)
    await log.maintain()
    reader = await log.read_all(["t"])
    assert not await reader.poll(10, 0.0)
    assert await reader.caught_up()
    await log.close()
    with closing(sqlite3.connect(path)) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    assert pages * 4_096 < 1_000_000


async def test_closing_with_calls_in_flight_finishes_them(tmp_path: Path) -> None:
    log = await EmbeddedLog.open(tmp_path / "log.db")
    await log.create_topics([TopicSpec("t", 1)])
    calls = [asyncio.ensure_future(log.publish([NewRecord("t", "k", b"v")])) for _ in range(100)]
    await asyncio.sleep(0)
    await log.close()
    assert sorted(p[0].offset for p in await asyncio.gather(*calls)) == list(range(100))
    with pytest.raises(LogUnavailable, match="closed"):
        await log.maintain()


async def _filled(folder: Path) -> Path:
    path = folder / "log.db"
    log = await EmbeddedLog.open(path)
    await log.create_topics([TopicSpec("t", 4)])
    await log.publish([NewRecord("t", f"k{i}", bytes(500)) for i in range(300)])
    await log.close()
    return path


async def _set_page_limit(log: EmbeddedLog, pages: int) -> int:
    def limited(file: Pages) -> int:
        return int(file.connection.execute(f"PRAGMA max_page_count={pages}").fetchone()[0])

    return await log._write(limited)
