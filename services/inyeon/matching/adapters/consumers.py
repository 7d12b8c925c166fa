"""What other services decided, from the log into the use cases.

Each replica reads everything, in the group of its seat: any desk of its floor may have the person.
The effects keep the highest version of each fact themselves, so these consumers run without the
ground's ledger and bear repetition.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from inyeon.matching.app.floor import (
    Floor,
    forget_person,
    take_edge,
    take_erasure,
    take_mark,
    take_verdict,
)
from inyeon.matching.domain.people import Verdict
from inyeon.matching.errors import SeatLost
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import LogFenced
from inyeon.runtime.log.consuming import Action, ConsumerMetrics, consume
from inyeon.runtime.log.envelope import decode, is_type, version_of
from inyeon.runtime.log.poison import PoisonRecord, expect_key
from inyeon.runtime.log.port import Log, Record
from inyeon.runtime.log.topics import EDGES, ERASED, VERDICTS
from inyeon_protos.events.v1 import events_pb2

GROUP_VERDICTS = "matching-verdicts"
GROUP_EDGES = "matching-edges"


async def follow_verdicts(
    floor: Floor, seat: int, log: Log, clock: Clock, metrics: ConsumerMetrics | None = None
) -> None:
    """Applies `moderation.verdicts` for as long as this task lives."""

    async def apply(record: Record, _: None) -> None:
        if is_type(record, events_pb2.OutboxWatermark):
            if record.value is not None:
                mark = decode(record, events_pb2.OutboxWatermark)
                await _mark(floor, mark)
            return
        if record.value is None:  # the person was erased
            await forget_person(floor, record.key)
            await take_verdict(floor, record.key, Verdict.NONE, version_of(record))
            return
        event = decode(record, events_pb2.VerdictRecorded)
        expect_key(record, event.user_id)
        verdict = Verdict(int(event.verdict))
        await take_verdict(floor, event.user_id, verdict, event.version)

    await _in_group_of(seat, log, clock, GROUP_VERDICTS, (VERDICTS,), apply, metrics)


async def _mark(floor: Floor, mark: events_pb2.OutboxWatermark) -> None:
    try:
        await take_mark(floor, mark.partition, mark.committed_at.ToDatetime(tzinfo=UTC))
    except ValueError as error:
        raise PoisonRecord("PARTITION_UNKNOWN", str(error)) from error


async def follow_edges(
    floor: Floor, seat: int, log: Log, clock: Clock, metrics: ConsumerMetrics | None = None
) -> None:
    """Applies `social.edges` and `people.erased` for as long as this task lives. A tombstone lifts
    nothing: a block outlives its erased author's data as an edge of two random ids."""

    async def apply(record: Record, _: None) -> None:
        if record.topic == ERASED:
            erased = decode(record, events_pb2.PersonErased)
            expect_key(record, erased.user_id)
            await take_erasure(floor, erased.user_id)
        elif record.value is not None:
            event = decode(record, events_pb2.EdgeRecorded)
            expect_key(record, f"{event.user_id}/{event.other_id}")
            await take_edge(floor, event.user_id, event.other_id, event.kind, event.version)

    await _in_group_of(seat, log, clock, GROUP_EDGES, (EDGES, ERASED), apply, metrics)


async def _in_group_of(
    seat: int,
    log: Log,
    clock: Clock,
    group: str,
    topics: Sequence[str],
    apply: Action,
    metrics: ConsumerMetrics | None,
) -> None:
    """As the only member, named after the seat: who takes the seat of one that died, or was
    stopped, takes its place without waiting for the end of its session. Raises SeatLost."""
    try:
        await consume(
            log,
            f"{group}-{seat}",
            topics,
            apply,
            store=None,
            clock=clock,
            metrics=metrics,
            member=f"seat-{seat}",
        )
    except LogFenced as error:
        raise SeatLost(f"seat {seat}: {error}") from error
