"""The runner of an all-mode reader: every replica applies every record to what it holds in
memory."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import Unavailable
from inyeon.runtime.log.consuming_metrics import ConsumerMetrics
from inyeon.runtime.log.envelope import version_of
from inyeon.runtime.log.poison import PoisonCount, PoisonLimit, PoisonRecord
from inyeon.runtime.log.port import AllReader, Log, Record
from inyeon.runtime.log.replays import replay_of
from inyeon.runtime.log.topics import STATE_TOPICS

Apply = Callable[[Record], Awaitable[None] | None]
"""Takes a record into memory, plain or as a coroutine. Raises PoisonRecord for one that it cannot
read."""

MAX_RECORDS = 1_000
POLL_S = 1.0
BACKOFF_S = 1.0  # a log that is away is asked once a second

T = TypeVar("T")

_logger = logging.getLogger(__name__)


async def follow(
    log: Log,
    topics: Sequence[str],
    apply: Apply,
    *,
    clock: Clock,
    caught_up: asyncio.Event | None = None,
    state_topics: Collection[str] = STATE_TOPICS,
    limit: PoisonLimit | None = None,
    metrics: ConsumerMetrics | None = None,
) -> None:
    """Applies every record from the start, until cancelled. Sets `caught_up` when all that was in
    the log when it began has been applied: be ready only then.

    Of `state_topics` records with a version not above the last one of their key are left out, of
    others those that are replayed for a group: each was here when it was new. A poison record is
    logged, counted and left out too (the group that reads the same topic diverts it). `metrics`: of
    the process. Raises ConsumerStopped, UnknownTopic, and whatever `apply` raises otherwise: memory
    that may be wrong is not served.
    """
    follower = _Follower(
        apply,
        state_topics,
        PoisonCount(limit or PoisonLimit()),
        metrics or ConsumerMetrics(CollectorRegistry()),
    )
    reader = await _patiently(lambda: log.read_all(topics), clock)
    try:
        while True:
            for record in await _patiently(lambda: reader.poll(MAX_RECORDS, POLL_S), clock):
                await follower.take(record)
            if caught_up is not None and not caught_up.is_set() and await _is_caught_up(reader):
                caught_up.set()
    finally:
        await reader.close()


class _Follower:
    def __init__(
        self,
        apply: Apply,
        state_topics: Collection[str],
        count: PoisonCount,
        metrics: ConsumerMetrics,
    ) -> None:
        self._apply = apply
        self._state_topics = state_topics
        self._count = count
        self._metrics = metrics
        self._versions: dict[tuple[str, str], int] = {}

    async def take(self, record: Record) -> None:
        try:
            is_newest = self._is_newest(record)
            if is_newest:
                done = self._apply(record)
                if inspect.isawaitable(done):
                    await done
            self._metrics.followed(record, "applied" if is_newest else "seen")
            self._count.good()
        except PoisonRecord as poison:
            _logger.error("left out %s@%s: %s", record.topic, record.offset, poison)
            self._metrics.followed(record, "poison")
            self._count.poison(record)

    def _is_newest(self, record: Record) -> bool:
        replay = replay_of(record)
        if replay is not None and replay.controls is not None:
            return False
        if record.topic not in self._state_topics:
            return replay is None
        version, key = version_of(record), (record.topic, record.key)
        if version <= self._versions.get(key, 0):
            return False
        self._versions[key] = version
        return True


async def _is_caught_up(reader: AllReader) -> bool:
    try:
        return await reader.caught_up()
    except Unavailable:
        return False


async def _patiently(call: Callable[[], Awaitable[T]], clock: Clock) -> T:
    while True:
        try:
            return await call()
        except Unavailable as error:
            _logger.warning("the log is away, tries again: %s", error)
            await clock.sleep(BACKOFF_S)
