"""A person is erased: nothing of them stays in memory or in the store, and all of the others."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, insert, select

from inyeon.matching.adapters.consumers import follow_edges
from inyeon.matching.adapters.metrics import POOL_MODES, PrometheusMeter
from inyeon.matching.adapters.tables import credits_given, devices, faults, moved_users
from inyeon.matching.app.floor import Floor, take_erasure
from inyeon.matching.domain import news
from inyeon.matching.domain.matches import EndReason
from inyeon.matching.domain.modes import PoolMode
from inyeon.matching.domain.tickets import TicketEnd
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.log.envelope import new_event
from inyeon.runtime.log.topics import ERASED
from inyeon_protos.events.v1 import events_pb2

pytestmark = pytest.mark.unit

KEPT = (devices, faults, credits_given, moved_users)


async def fill(scene: Any) -> None:
    """A row of each kind about ana, and one about bob."""
    async with scene.store.transaction() as tx:
        for user in ("ana", "bob"):
            for table in KEPT:
                row = {
                    column.name: "x" if column.type.python_type is str else 1
                    for column in table.columns
                }
                await tx.connection.execute(insert(table).values(row | {"user_id": user}))


async def rows_of(scene: Any, user: str) -> list[int]:
    async with scene.store.reading() as connection:
        return [
            await connection.scalar(
                select(func.count()).select_from(table).where(table.c.user_id == user)
            )
            for table in KEPT
        ]


def floor_of(scene: Any) -> Floor:
    return Floor({"main": scene.desk}, "here")


async def test_the_rows_of_the_erased_go_and_all_others_stay(scene: Any) -> None:
    await fill(scene)
    for _ in range(2):  # the log may say it twice
        await take_erasure(floor_of(scene), "ana")
        assert await rows_of(scene, "ana") == [0, 0, 0, 0]
        assert await rows_of(scene, "bob") == [1, 1, 1, 1]


async def test_a_ticket_of_the_erased_ends(scene: Any) -> None:
    await scene.person("ana")
    await take_erasure(floor_of(scene), "ana")
    assert scene.desk.hall.ticket_of("ana") is None
    assert scene.desk.hall.signs == {}
    assert scene.teller.take("ana")[-1] == news.Cancelled("id-0", TicketEnd.CANCELLED)


async def test_a_match_of_the_erased_ends_and_nothing_is_credited_to_them(scene: Any) -> None:
    match_id = (await scene.matched()).match.match_id
    await take_erasure(floor_of(scene), "ana")
    assert scene.desk.hall.meetings.of_user("bob") is None
    assert scene.teller.take("bob") == [news.MatchOver(match_id, EndReason.LEFT, by_me=False)]
    assert await rows_of(scene, "ana") == [0, 0, 0, 0]


async def test_erasures_are_followed_beside_blocks(scene: Any) -> None:
    await fill(scene)
    event = events_pb2.PersonErased(user_id="ana")
    wrong = new_event(ERASED, "eve", event, occurred_at=scene.clock.now())
    await scene.log.publish([wrong, new_event(ERASED, "ana", event, occurred_at=scene.clock.now())])
    work = asyncio.create_task(follow_edges(floor_of(scene), 0, scene.log, SystemClock()))
    for _ in range(500):
        if sum(await rows_of(scene, "ana")) == 0:
            break
        await asyncio.sleep(0.01)
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    assert await rows_of(scene, "ana") == [0, 0, 0, 0]
    assert await rows_of(scene, "bob") == [1, 1, 1, 1]


def test_exactly_one_mode_of_a_pool_is_in_force() -> None:
    registry = CollectorRegistry()
    meter = PrometheusMeter(registry, "main")

    def told() -> dict[str, float | None]:
        return {
            name: registry.get_sample_value(
                "inyeon_matching_pool_mode", {"pool": "main", "mode": name}
            )
            for name in POOL_MODES
        }

    for mode in PoolMode:
        meter.mode(mode, stopped=False)
        assert told() == {name: float(name == mode.name.lower()) for name in POOL_MODES}
    meter.mode(PoolMode.PAUSED, stopped=True)
    assert told() == {"open": 0.0, "draining": 0.0, "paused": 0.0, "stopped": 1.0}
