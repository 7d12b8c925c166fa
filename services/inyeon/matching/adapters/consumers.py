"""What other services decided, from the log into the use cases.

The effects keep the highest version of each fact themselves, so these consumers run without the
ground's ledger and bear repetition.
"""

from __future__ import annotations

from datetime import UTC

from inyeon.matching.app.apply import apply_edge, apply_mark, apply_verdict
from inyeon.matching.app.desk import Desk
from inyeon.matching.domain.people import Verdict
from inyeon.matching.errors import PoolLost
from inyeon.runtime.errors import LogFenced
from inyeon.runtime.log.consuming import Action, ConsumerMetrics, consume
from inyeon.runtime.log.envelope import decode, is_type, version_of
from inyeon.runtime.log.poison import PoisonRecord, expect_key
from inyeon.runtime.log.port import Log, Record
from inyeon.runtime.log.topics import EDGES, VERDICTS
from inyeon_protos.events.v1 import events_pb2

GROUP_VERDICTS = "matching-verdicts"
GROUP_EDGES = "matching-edges"


async def follow_verdicts(desk: Desk, log: Log, metrics: ConsumerMetrics | None = None) -> None:
    """Applies `moderation.verdicts` for as long as this task lives."""

    async def apply(record: Record, _: None) -> None:
        if is_type(record, events_pb2.OutboxWatermark):
            if record.value is not None:
                mark = decode(record, events_pb2.OutboxWatermark)
                await _mark(desk, mark)
            return
        if record.value is None:  # the person was erased
            await apply_verdict(desk, record.key, Verdict.NONE, version_of(record))
            return
        event = decode(record, events_pb2.VerdictRecorded)
        expect_key(record, event.user_id)
        verdict = Verdict(int(event.verdict))
        await apply_verdict(desk, event.user_id, verdict, event.version)

    await _as_owner(desk, log, GROUP_VERDICTS, VERDICTS, apply, metrics)


async def _mark(desk: Desk, mark: events_pb2.OutboxWatermark) -> None:
    try:
        await apply_mark(desk, mark.partition, mark.committed_at.ToDatetime(tzinfo=UTC))
    except ValueError as error:
        raise PoisonRecord("PARTITION_UNKNOWN", str(error)) from error


async def follow_edges(desk: Desk, log: Log, metrics: ConsumerMetrics | None = None) -> None:
    """Applies `social.edges` for as long as this task lives. A tombstone lifts nothing: a block
    outlives its erased author's data as an edge of two random ids."""

    async def apply(record: Record, _: None) -> None:
        if record.value is not None:
            event = decode(record, events_pb2.EdgeRecorded)
            expect_key(record, f"{event.user_id}/{event.other_id}")
            await apply_edge(desk, event.user_id, event.other_id, event.kind, event.version)

    await _as_owner(desk, log, GROUP_EDGES, EDGES, apply, metrics)


async def _as_owner(
    desk: Desk,
    log: Log,
    group: str,
    topic: str,
    apply: Action,
    metrics: ConsumerMetrics | None,
) -> None:
    """As the member that is named after the pool: a new owner takes the place of one that died, or
    was stopped, without waiting for the end of its session. Raises PoolLost."""
    try:
        await consume(
            log,
            group,
            [topic],
            apply,
            store=None,
            clock=desk.clock,
            metrics=metrics,
            member=f"pool-{desk.pool}",
        )
    except LogFenced as error:
        raise PoolLost(f"pool {desk.pool}: {error}") from error
