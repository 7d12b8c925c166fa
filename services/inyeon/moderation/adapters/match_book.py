"""Who meets whom, from `matching.matches`: what partner windows, directives and reports need to
know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from inyeon.moderation.adapters.tables import matches
from inyeon.runtime.clock import Clock
from inyeon.runtime.log.consuming import ConsumerMetrics, consume
from inyeon.runtime.log.envelope import decode, is_type
from inyeon.runtime.log.poison import expect_key
from inyeon.runtime.log.port import Log, Record
from inyeon.runtime.log.topics import MATCHES
from inyeon.runtime.store.dialects import microseconds, upsert
from inyeon.runtime.store.port import Store, Transaction
from inyeon_protos.events.v1.events_pb2 import MatchEnded, MatchLive

GROUP = "moderation"


def following(
    log: Log, store: Store, clock: Clock, metrics: ConsumerMetrics | None = None
) -> Callable[[], Awaitable[None]]:
    """The loop that keeps the book."""

    async def apply(record: Record, tx: Transaction) -> None:
        await apply_match(record, tx, clock)

    async def run() -> None:
        await consume(log, GROUP, [MATCHES], apply, store=store, clock=clock, metrics=metrics)

    return run


async def apply_match(record: Record, tx: Transaction, clock: Clock) -> None:
    """Takes a match in. An older version than the one known changes nothing, so an end that arrives
    first stays an end."""
    if is_type(record, MatchEnded):
        ended = decode(record, MatchEnded)
        expect_key(record, ended.match_id)
        ended_at = microseconds(clock.now())
        await _put(tx, ended.match_id, (ended.user_a, ended.user_b), ended.version, ended_at)
        return
    live = decode(record, MatchLive)
    expect_key(record, live.match_id)
    await _put(tx, live.match_id, (live.user_a, live.user_b), live.version, None)


async def _put(
    tx: Transaction, match_id: str, users: tuple[str, str], version: int, ended_at: int | None
) -> None:
    values = {"user_a": users[0], "user_b": users[1], "version": version, "ended_at": ended_at}
    adding = upsert(tx.connection, matches).values(match_id=match_id, **values)
    await tx.connection.execute(
        adding.on_conflict_do_update(
            index_elements=["match_id"], set_=values, where=matches.c.version < version
        )
    )
