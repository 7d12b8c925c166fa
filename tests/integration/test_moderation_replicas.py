"""Two replicas of moderation and two of its worker on one Kafka and one PostgreSQL.

The models are scripted. Each process is a run of the harness as `inyeon serve` starts it, all in
this one.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from inyeon.runtime.log.envelope import new_event
from inyeon.runtime.log.topics import MATCHES, OPINIONS
from inyeon.runtime.settings import RuntimeSettings
from inyeon_protos.events.v1.events_pb2 import MatchLive, OpinionGiven
from inyeon_stack.ports import free_ports
from tests.integration.escalation_scene import (
    MIXED,
    PORN,
    Platform,
    ScriptedModels,
    about,
    alone,
    eventually,
    now,
    person,
    platform_on,
    settings_of,
    worker,
)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.engine("kafka"),
    pytest.mark.engine("postgresql"),
]

PAIRS = 8
SHARED_S = 60.0  # a rebalance takes 3 s, on a shared machine several times that


@dataclass
class Replicas:
    """Two of each. Closing `first_worker` ends it in an orderly way."""

    one: Platform
    other: Platform
    models: tuple[ScriptedModels, ScriptedModels]
    first_worker: AsyncExitStack

    def asked(self) -> list[int]:
        """Questions that each worker put to its models."""
        return [models.asked for models in self.models]

    async def knows(self, match_id: str) -> bool:
        """Moderation has heard of the match: a verdict before that could tell no partner."""
        url = self.one.settings.database_url.get_secret_value().format(service="moderation")
        connection = await asyncpg.connect(url)
        try:
            found = "SELECT 1 FROM moderation_matches WHERE match_id = $1"
            return await connection.fetchval(found, match_id) is not None
        finally:
            await connection.close()


@pytest.fixture
async def replicas(tmp_path: Path, kafka: Any, postgres: Any) -> AsyncIterator[Replicas]:
    name = f"two_{uuid.uuid4().hex[:8]}_{{service}}"
    await asyncio.to_thread(postgres.create, name.format(service="moderation"))
    ports, models = free_ports(2), (ScriptedModels(), ScriptedModels())

    def settings(replica: str, **more: Any) -> RuntimeSettings:
        shared = {"kafka_servers": kafka.servers, "database_url": postgres.url(name)}
        return settings_of(
            tmp_path / replica,
            **shared,
            replica=replica,
            keys_dir=tmp_path / "keys",
            database_connections=4,
            **more,
        )

    async with AsyncExitStack() as stack, AsyncExitStack() as first_worker:
        moderation = []
        for number, port in enumerate(ports):
            peers = (f"127.0.0.1:{ports[1 - number]}",)
            chosen = settings(f"moderation-{number}", peers=peers).model_copy(
                update={"internal_port": port}
            )
            moderation.append(await stack.enter_async_context(platform_on(chosen, role=alone)))
        second = platform_on(settings("worker-1"), role=worker(models[1]))
        await stack.enter_async_context(second)
        first = platform_on(settings("worker-0"), role=worker(models[0]))
        await first_worker.enter_async_context(first)
        yield Replicas(moderation[0], moderation[1], models, first_worker)


@asynccontextmanager
async def pair(replicas: Replicas) -> AsyncIterator[tuple[Any, Any]]:
    """Two people in one match, each on another replica."""
    ana, ben = person(), person()
    match = MatchLive(match_id=person(), user_a=ana, user_b=ben, version=1)
    event = new_event(MATCHES, match.match_id, match, occurred_at=datetime.now(UTC))
    await replicas.one.ground.log.publish([event])
    await eventually(lambda: replicas.knows(match.match_id))
    async with replicas.one.device(ana) as one, replicas.other.device(ben) as other:
        yield one, other


async def protected(replicas: Replicas) -> str:
    """One escalates on a replica and both are told; the one who escalated."""
    async with pair(replicas) as (one, other):
        await one.unsure(PORN)
        await one.until(lambda d: ("PROTECT", "HEAD_EXPLICIT") in d.told)
        await other.until(lambda d: ("PROTECT", "HEAD_EXPLICIT") in d.told)
        assert [reason for _, reason in one.told].count("HEAD_EXPLICIT") == 1
        return str(one.user_id)


async def test_replicas_share_the_work_and_every_escalation_has_one_effect(
    replicas: Replicas,
) -> None:
    users: list[str] = []
    async with asyncio.timeout(SHARED_S):
        while len(users) < PAIRS or not all(replicas.asked()):
            users += await asyncio.gather(*(protected(replicas) for _ in range(4)))
    for user_id in users:
        assert len(await replicas.other.cases(user_id)) == 1
    opinions = await asyncio.gather(
        *(about(replicas.one, OPINIONS, OpinionGiven, user_id) for user_id in users[:4])
    )
    assert [len(found) for found in opinions] == [1] * 4


async def test_what_one_replica_confirms_reaches_the_bank_of_each_worker(
    replicas: Replicas,
) -> None:
    user_id = person()
    async with replicas.one.device(user_id) as device:
        await device.unsure(MIXED)
        case = await replicas.other.one_case(user_id)
        await replicas.other.confirm(case.case_id)
    await eventually(lambda: now(all(models.entries for models in replicas.models)))
    banks = [[entry.entry_id for entry in models.entries] for models in replicas.models]
    assert banks[0] == banks[1] and len(banks[0]) == 1
    async with replicas.other.device(person()) as device:
        await device.unsure(MIXED)
        await device.until(lambda d: ("PROTECT", "BANK_MATCH") in d.told)


async def test_the_other_worker_takes_over(replicas: Replicas) -> None:
    await protected(replicas)
    await replicas.first_worker.aclose()
    before = replicas.models[1].asked
    await asyncio.gather(*(protected(replicas) for _ in range(4)))
    assert replicas.models[1].asked >= before + 4
