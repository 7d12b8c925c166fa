"""Tickets of the pool from the log, for its owner: first the last 90 s, then what comes.

A new owner has a new epoch and with it a group of its own, which starts at now - 90 s: a ticket is
renewed every 30 s, so whoever still waits is in there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from inyeon.matching.adapters.wire import ticket_from
from inyeon.matching.app.admit import EndedTicket, admit
from inyeon.matching.app.desk import Desk
from inyeon.matching.domain.refusals import WishRefused
from inyeon.matching.domain.tickets import Ticket
from inyeon.runtime.errors import LogFenced, Unavailable
from inyeon.runtime.log.consuming_metrics import ConsumerMetrics
from inyeon.runtime.log.envelope import decode, is_type
from inyeon.runtime.log.poison import PoisonRecord
from inyeon.runtime.log.port import GroupConsumer, Log, Position, Record
from inyeon.runtime.log.records import partition_of
from inyeon.runtime.log.topics import TICKETS, TOPICS
from inyeon_protos.events.v1 import events_pb2

LOOK_BACK = timedelta(seconds=90)
MAX_RECORDS = 500
POLL_S = 0.5
PARTITIONS = next(spec.partitions for spec in TOPICS if spec.name == TICKETS)
RETRY_S = 1.0
GAP_S = 0.02
"""Between the starts of two batches, once the pool is rebuilt: most of what the store does for one
ticket is the same for twenty. A lone ticket waits for nothing."""
COMMIT_EVERY_S = 1.0
"""Only this owner's own group uses the offsets; what it reads twice changes nothing."""

_log = structlog.get_logger(__name__)


async def read_tickets(desk: Desk, log: Log, metrics: ConsumerMetrics) -> None:
    """Keeps the pool as the log says, for as long as this task lives."""
    of_all_epochs = f"matching-pool-{desk.pool}"
    group = f"{of_all_epochs}-{desk.hall.epoch}"
    partition = partition_of(desk.pool, PARTITIONS)
    began = desk.clock.now()
    member = await _join(desk, log, group, began - LOOK_BACK)
    began_s = -math.inf
    committed_at, unsaid = desk.clock.monotonic(), list[Record]()
    try:
        while True:
            gap_s = began_s + GAP_S - desk.clock.monotonic()
            if gap_s > 0 and desk.hall.rebuilt.is_set():
                await desk.clock.sleep(gap_s)
            records = await _poll(desk, member)
            began_s = desk.clock.monotonic()
            if records:
                # Other pools' partitions lie in the same topic.
                mine = [record for record in records if record.partition == partition]
                read = await _take(desk, mine)
                metrics.taken(of_all_epochs, TICKETS, "applied", read)
                metrics.taken(of_all_epochs, TICKETS, "poison", len(mine) - read)
                unsaid += records
            if unsaid and committed_at + COMMIT_EVERY_S <= began_s:
                await _commit(member, unsaid)
                committed_at, unsaid = began_s, []
            # The end of what was there: nothing more, or, in a busy pool, only what came since.
            if all(record.published_at > began for record in records):
                desk.hall.rebuilt.set()
    finally:
        await member.close()


async def _join(desk: Desk, log: Log, group: str, start_from: datetime) -> GroupConsumer:
    while True:
        try:
            return await log.join(group, [TICKETS], start_from)
        except Unavailable as error:
            _log.warning("tickets.log_away", error=str(error))
            await desk.clock.sleep(RETRY_S)


async def _poll(desk: Desk, member: GroupConsumer) -> Sequence[Record]:
    # Until the pool is rebuilt an empty answer must come at once: nobody is paired before.
    wait_s = POLL_S if desk.hall.rebuilt.is_set() else 0.0
    while True:
        try:
            return await member.poll(MAX_RECORDS, wait_s)
        except Unavailable as error:
            _log.warning("tickets.log_away", error=str(error))
            await desk.clock.sleep(RETRY_S)


async def _take(desk: Desk, records: Sequence[Record]) -> int:
    """How many of them could be read."""
    read = [entry for record in records if (entry := _entry(record)) is not None]
    while True:
        try:
            await admit(desk, read)
            return len(read)
        except Unavailable as error:
            _log.warning("tickets.store_away", error=str(error))
            await desk.clock.sleep(RETRY_S)


async def _commit(member: GroupConsumer, records: Sequence[Record]) -> None:
    last = {(record.topic, record.partition): record.offset for record in records}
    try:
        await member.commit([Position(*place, offset) for place, offset in last.items()])
    # Away: they go with the next. Fenced: the group gave this member up while it was cut off; it
    # joins again and reads them again, which changes nothing. No other owner is in this group.
    except (Unavailable, LogFenced) as error:
        _log.warning("tickets.not_committed", error=str(error))


def _entry(record: Record) -> Ticket | EndedTicket | None:
    """What cannot be read is left out and said: its ticket expires, its user asks again."""
    try:
        if is_type(record, events_pb2.TicketEnded):
            ended = decode(record, events_pb2.TicketEnded)
            return EndedTicket(ended.ticket_id, ended.user_id)
        return ticket_from(decode(record, events_pb2.TicketWaiting))
    except (PoisonRecord, WishRefused, ValueError) as error:
        _log.error("tickets.unreadable", offset=record.offset, error=str(error))
        return None
