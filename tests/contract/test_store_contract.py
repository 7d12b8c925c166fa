"""The store contract over SQLite in a file, and over its twin for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.log.port import Log
from inyeon.runtime.store.outbox import OutboxRelay
from inyeon.runtime.store.port import Store
from inyeon.runtime.store.sql import SqlStore, temporary_store
from tests.contract.store_contract import TABLES, StoreContract

pytestmark = pytest.mark.contract


class _Relayed(StoreContract):
    async def drain(self, store: Store, log: Log) -> int:
        assert isinstance(store, SqlStore)
        return await OutboxRelay(store, log, SystemClock(), owner="contract").drain()


@pytest.mark.engine("sqlite")
class TestSqliteStore(_Relayed):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[Store]:
        store = await SqlStore.open(tmp_path / "store.db", TABLES, migrations=None)
        yield store
        await store.close()


class TestTemporaryStore(_Relayed):
    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        async with temporary_store(TABLES) as store:
            yield store
