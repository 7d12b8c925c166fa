"""Several pools in one replica: a country's people wait in its pool, and meet there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from inyeon.matching import bootstrap
from inyeon.matching.adapters.territory_files import read_territories
from inyeon.matching.data import COUNTRIES, POOLS
from inyeon.matching.settings import MatchingSettings
from inyeon.runtime.errors import SettingsRefused
from inyeon_protos.matching.v1 import matching_pb2 as pb

pytestmark = pytest.mark.integration


async def seeking(stage: Any, user: str, country: str, wish: Any) -> Any:
    device = stage.device(user, country=country)
    await device.open()
    device.keep_beating()
    await device.seek(wish())
    return device


async def test_people_meet_within_their_pool(stages: Any, wish: Any) -> None:
    stage = await stages(pools=("*",))
    ana = await seeking(stage, "ana", "US", wish)
    kim = await seeking(stage, "kim", "KR", wish)
    nobody = await seeking(stage, "nobody", "", wish)
    for device in (ana, kim, nobody):
        await device.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)
    bob = await seeking(stage, "bob", "CA", wish)
    match_id = (await ana.hear("matched")).match_id
    assert (await bob.hear("matched")).match_id == match_id
    assert not [one for one in kim.news + nobody.news if one.HasField("matched")]


async def test_operators_see_every_pool(stages: Any, wish: Any) -> None:
    stage = await stages(pools=("*",))
    kim = await seeking(stage, "kim", "KR", wish)
    await kim.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)
    for _ in range(1_000):
        if stage.service.ready():
            break
        await asyncio.sleep(0.01)
    app = FastAPI()
    app.include_router(stage.service.routes)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/matching/pools")
    pools = {one["pool"]: one for one in answer.json()["pools"]}
    assert set(pools) == set(read_territories(COUNTRIES, POOLS).pools)
    assert pools["east-asia"]["waiting"] == 1
    assert all(one["epoch"] == 1 for one in pools.values())


async def test_tickets_of_every_pool_survive_a_restart(stages: Any, wish: Any) -> None:
    stage = await stages(pools=("*",))
    kim = await seeking(stage, "kim", "KR", wish)
    ticket = (await kim.hear("queued")).ticket_id
    await stage.kill()
    await stage.start()
    await kim.close()
    kim.news.clear()
    kim.error = None
    await kim.open()
    kim.keep_beating()
    assert (await kim.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)).ticket_id == ticket


async def test_a_replica_may_own_only_some_pools(stages: Any, wish: Any) -> None:
    stage = await stages(pools=("east-asia",))
    await (await seeking(stage, "kim", "KR", wish)).hear("queued")
    ana = stage.device("ana", country="US")
    await ana.open()
    with pytest.raises(Exception, match="another replica"):
        await ana.until(lambda: False)


async def test_a_pool_that_is_not_in_the_table_is_refused(stage: Any) -> None:
    with pytest.raises(SettingsRefused, match="no pool of the table") as refused:
        await bootstrap.build(MatchingSettings(pools=("atlantis",)), stage)
    assert refused.value.field == "INYEON_MATCHING_POOLS"


def test_all_pools_stand_alone() -> None:
    with pytest.raises(ValueError, match="stands alone"):
        MatchingSettings(pools=("*", "europe"))


async def test_an_operators_own_table_counts(stages: Any, wish: Any, tmp_path: Path) -> None:
    table = tmp_path / "countries.csv"
    text = COUNTRIES.read_text()
    assert "KR,Korea (South),east-asia" in text
    table.write_text(text.replace("KR,Korea (South),east-asia", "KR,Korea,north-america"))
    stage = await stages(pools=("*",), countries_file=table)
    ana = await seeking(stage, "ana", "US", wish)
    kim = await seeking(stage, "kim", "KR", wish)
    assert (await ana.hear("matched")).match_id == (await kim.hear("matched")).match_id
