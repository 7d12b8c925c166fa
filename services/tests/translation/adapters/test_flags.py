"""Flags through a real store: committed, delayed, never with a word of what was said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from inyeon.runtime.clock import ManualClock
from inyeon.runtime.errors import StoreUnavailable
from inyeon.runtime.log.topics import ESCALATIONS
from inyeon.runtime.store.port import Store, Transaction
from inyeon.runtime.store.sql import open_service_store
from inyeon.translation.adapters import flags as module
from inyeon.translation.adapters.flags import StoreFlags, escalation
from inyeon.translation.adapters.tables import TABLES
from inyeon.translation.app.screening import Flag
from inyeon.translation.domain.screening import Seen
from inyeon_protos.events.v1.events_pb2 import EscalationRaised

pytestmark = [pytest.mark.integration, pytest.mark.engine("sqlite")]

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
SEEN = Seen({"hate": 0.75, "offensive": 0.125, "neither": 0.125}, "en", "head", "7")
FLAG = Flag("e1", "ana", "s1", "m1", "TEXT_HATE", "1+ab", SEEN, False, AT)


class Fragile:
    """A store that can be away."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.away = False

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        if self.away:
            raise StoreUnavailable("away")
        return self._store.transaction()

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Fragile]:
    store = await open_service_store("translation", TABLES, tmp_path, ManualClock())
    yield Fragile(store)
    await store.close()


async def waiting(store: Fragile) -> list[EscalationRaised]:
    """What the outbox holds, in order."""
    outbox = TABLES.tables["outbox"]
    async with store._store.reading() as connection:
        rows = await connection.execute(
            select(outbox.c.topic, outbox.c.key, outbox.c.value).order_by(outbox.c.id)
        )
        found = rows.all()
    assert {row.topic for row in found} <= {ESCALATIONS}
    assert {row.key for row in found} <= {"s1"}
    return [EscalationRaised.FromString(row.value) for row in found]


def test_an_escalation_carries_scores_and_nothing_said() -> None:
    record = escalation(replace(FLAG, translated=True))
    told = EscalationRaised.FromString(record.value or b"")
    assert (record.topic, record.key) == (ESCALATIONS, "s1")
    assert (told.user_id, told.match_id, told.reason) == ("ana", "m1", "TEXT_HATE")
    assert (told.escalation_id, told.policy_version) == ("e1", "1+ab")
    assert dict(zip(told.text.classes, told.text.scores, strict=True)) == dict(SEEN.scores)
    assert (told.text.model, told.text.version, told.text.language) == ("head", "7", "en")
    assert told.text.translated and told.raised_at.ToDatetime(tzinfo=UTC) == AT


async def test_a_flag_is_committed(store: Fragile) -> None:
    flags = StoreFlags(store, ManualClock())  # type: ignore[arg-type]
    assert await flags.raise_flag(FLAG)
    assert [told.escalation_id for told in await waiting(store)] == ["e1"]


async def test_flags_wait_in_order_while_the_store_is_away(store: Fragile) -> None:
    clock = ManualClock()
    flags = StoreFlags(store, clock)  # type: ignore[arg-type]
    loop = asyncio.create_task(flags.run())
    store.away = True
    assert not await flags.raise_flag(FLAG)
    assert not await flags.raise_flag(replace(FLAG, escalation_id="e2"))
    store.away = False
    # Behind two that wait it may not overtake them.
    assert not await flags.raise_flag(replace(FLAG, escalation_id="e3"))
    async with asyncio.timeout(15):
        while flags.delayed:
            await clock.advance(module.RETRY_S)
            await asyncio.sleep(0.005)
    assert [told.escalation_id for told in await waiting(store)] == ["e1", "e2", "e3"]
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def test_what_waits_is_bounded_and_losses_are_counted(
    store: Fragile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_DELAYED", 2)
    lost: list[int] = []
    flags = StoreFlags(store, ManualClock(), lost.append)  # type: ignore[arg-type]
    store.away = True
    for number in range(4):
        await flags.raise_flag(replace(FLAG, escalation_id=f"e{number}"))
    assert flags.delayed == 2 and lost == [1, 1]
