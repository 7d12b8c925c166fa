"""The store contract over PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.log.port import Log
from inyeon.runtime.store.outbox import OutboxRelay
from inyeon.runtime.store.port import Store
from inyeon.runtime.store.sql import SqlStore
from tests.contract.store_contract import TABLES, StoreContract

pytestmark = [pytest.mark.contract, pytest.mark.engine("postgresql")]


class TestPostgresStore(StoreContract):
    @pytest.fixture
    async def store(self, postgres: Any) -> AsyncIterator[Store]:
        database = f"store_{uuid.uuid4().hex}"
        await asyncio.to_thread(postgres.create, database)
        store = await SqlStore.open(postgres.url(database), TABLES, migrations=None)
        yield store
        await store.close()

    async def drain(self, store: Store, log: Log) -> int:
        assert isinstance(store, SqlStore)
        return await OutboxRelay(store, log, SystemClock(), owner="contract").drain()
