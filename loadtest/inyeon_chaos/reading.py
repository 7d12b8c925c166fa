"""Reads what is left after a run, past the adapters under test: bare drivers, bare clients."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import asyncpg

from inyeon.runtime.log.embedded import EmbeddedLog
from inyeon_chaos.evidence import LogRecord, Row

ANSWER_S = 20.0  # one table of a small database, just restarted
TOPICS_S = 120.0  # 100,000 records take some 5 s


async def read_rows(where: Path | str, statement: str) -> list[Row]:
    """Rows of a SQLite file (Path) or a PostgreSQL database (URL)."""
    if isinstance(where, Path):
        return await asyncio.to_thread(_sqlite_rows, where, statement)
    connection = await asyncpg.connect(where, timeout=ANSWER_S)
    try:
        return [dict(row) for row in await connection.fetch(statement, timeout=ANSWER_S)]
    finally:
        await connection.close(timeout=ANSWER_S)


def _sqlite_rows(path: Path, statement: str) -> list[Row]:
    with closing(sqlite3.connect(path, timeout=ANSWER_S)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(statement)]


async def table_names(where: Path | str) -> list[str]:
    """Tables of a database."""
    if isinstance(where, Path):
        statement = "SELECT name FROM sqlite_master WHERE type = 'table'"
    else:
        statement = "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"
    return sorted(str(row["name"]) for row in await read_rows(where, statement))


async def read_embedded(path: Path, topics: Sequence[str]) -> list[LogRecord]:
    """All records of an embedded log, in order within a partition."""
    log = await EmbeddedLog.open(path)
    try:
        reader = await log.read_all(topics)
        found: list[LogRecord] = []
        while not await reader.caught_up():
            for r in await reader.poll(1_000, 1.0):
                headers = dict(r.headers)
                found.append(LogRecord(r.topic, r.partition, r.offset, r.key, r.value, headers))
        return _in_order(found)
    finally:
        await log.close()


async def read_kafka(servers: Sequence[str], topics: Sequence[str] = ()) -> list[LogRecord]:
    """All records of these topics, or of all there are."""
    return _in_order(await asyncio.to_thread(_read_kafka, servers, topics))


def _read_kafka(servers: Sequence[str], topics: Sequence[str]) -> list[LogRecord]:
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(
        bootstrap_servers=list(servers), group_id=None, auto_offset_reset="earliest"
    )
    try:
        names = topics or [name for name in consumer.topics() if not name.startswith("__")]
        places = [TopicPartition(n, p) for n in names for p in consumer.partitions_for_topic(n)]
        if not places:
            return []
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        found: list[LogRecord] = []
        while any(consumer.position(place) < end for place, end in ends.items()):
            for batch in consumer.poll(timeout_ms=500).values():
                found.extend(_record(one) for one in batch)
        return found
    finally:
        consumer.close()


def _record(one: object) -> LogRecord:
    key: bytes = getattr(one, "key", None) or b""
    headers = {name: value.decode(errors="replace") for name, value in one.headers}  # type: ignore[attr-defined]
    return LogRecord(
        one.topic,  # type: ignore[attr-defined]
        one.partition,  # type: ignore[attr-defined]
        one.offset,  # type: ignore[attr-defined]
        key.decode(errors="replace"),
        one.value,  # type: ignore[attr-defined]
        headers,
    )


def _in_order(records: list[LogRecord]) -> list[LogRecord]:
    return sorted(records, key=lambda r: (r.topic, r.partition, r.offset))
