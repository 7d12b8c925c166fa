"""Ends of matches, from the log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from inyeon.runtime.clock import Clock
from inyeon.runtime.log.consuming import ConsumerMetrics, consume
from inyeon.runtime.log.envelope import decode, is_type
from inyeon.runtime.log.poison import expect_key
from inyeon.runtime.log.port import Log, Record
from inyeon.runtime.log.topics import MATCHES
from inyeon_protos.events.v1.events_pb2 import MatchEnded

GROUP = "translation"

OnEnd = Callable[[str, tuple[str, str]], Awaitable[None]]
"""(match, its two people). Bears repetition."""


def following(
    log: Log, on_end: OnEnd, clock: Clock, metrics: ConsumerMetrics | None = None
) -> Callable[[], Awaitable[None]]:
    """The loop that ends conversations with their matches."""

    async def apply(record: Record, _: None) -> None:
        if is_type(record, MatchEnded):
            ended = decode(record, MatchEnded)
            expect_key(record, ended.match_id)
            await on_end(ended.match_id, (ended.user_a, ended.user_b))

    async def run() -> None:
        await consume(log, GROUP, [MATCHES], apply, store=None, clock=clock, metrics=metrics)

    return run
