"""What every replica follows: opinions, for the streams it holds; bank entries, for its models."""

from __future__ import annotations

import asyncio

from inyeon.moderation.adapters.opinion_wire import bank_entry_from, opinion_from
from inyeon.moderation.app.banking import Banking
from inyeon.moderation.app.heeding import HEARD_FOR, Heeding
from inyeon.runtime.clock import Clock
from inyeon.runtime.log.consuming_metrics import ConsumerMetrics
from inyeon.runtime.log.following import follow
from inyeon.runtime.log.port import Log, Record
from inyeon.runtime.log.topics import BANK_ENTRIES, OPINIONS


async def follow_opinions(
    log: Log, heeding: Heeding, clock: Clock, metrics: ConsumerMetrics | None = None
) -> None:
    """Hears opinions for as long as this task lives. A replica that starts reads the topic from its
    start, an hour of it: what is too old to count is not even decoded."""

    async def apply(record: Record) -> None:
        if clock.now() - record.published_at <= HEARD_FOR:
            await heeding.heard(opinion_from(record))

    await follow(log, [OPINIONS], apply, clock=clock, metrics=metrics)


async def follow_banks(
    log: Log, banking: Banking, clock: Clock, metrics: ConsumerMetrics | None = None
) -> None:
    """Keeps the banks for as long as this task lives."""
    caught_up = asyncio.Event()

    def apply(record: Record) -> None:
        place = record.partition, record.offset
        banking.take(record.key, place, bank_entry_from(record))

    async with asyncio.TaskGroup() as group:
        following = follow(
            log, [BANK_ENTRIES], apply, clock=clock, caught_up=caught_up, metrics=metrics
        )
        group.create_task(following)
        await caught_up.wait()
        banking.begin()
