"""Operators pause, drain and resume pools and stop all pairing: over gRPC and on their page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
from fastapi import FastAPI

from inyeon.matching.api.pool_page import people
from inyeon.runtime.identity.claims import AgeBand
from inyeon.runtime.identity.tokens import audience_of
from inyeon_protos.matching.v1 import matching_pb2 as pb
from inyeon_protos.matching.v1.matching_pb2_grpc import PoolServiceStub

pytestmark = pytest.mark.integration
OWN = "http://127.0.0.1:8080"
FORM = {"content-type": "application/x-www-form-urlencoded"}
PAUSE = "pool=main&mode=PAUSED"


class Operator:
    """Calls PoolService with a role."""

    def __init__(self, stage: Any, role: str = "operator") -> None:
        token = stage.issuer.issue(
            "op-1", audience_of("matching"), age_band=AgeBand.ADULT, roles=[role]
        )
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{stage.port}")
        self._stub: Any = PoolServiceStub(self._channel)

    async def call(self, method: str, request: Any) -> Any:
        return await getattr(self._stub, method)(request, metadata=self._metadata, timeout=5)

    async def close(self) -> None:
        await self._channel.close()


@pytest.fixture
async def operator(stage: Any) -> AsyncIterator[Operator]:
    made = Operator(stage)
    yield made
    await made.close()


@pytest.fixture
async def browser(stage: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(stage.service.routes)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=OWN) as client:
        yield client


async def seeking(stage: Any, user: str, wish: pb.Wish) -> Any:
    device = await stage.device(user).open()
    device.keep_beating()
    await device.seek(wish)
    return device


async def test_a_paused_pool_pairs_nobody_says_so_and_goes_on(
    stage: Any, wish: Any, operator: Operator
) -> None:
    assert (await operator.call("PausePool", pb.PausePoolRequest(pool="main"))).mode == (
        pb.POOL_MODE_PAUSED
    )
    ana = await seeking(stage, "ana", wish())
    bob = await seeking(stage, "bob", wish())
    for device in (ana, bob):
        await device.hear("queued", reason=pb.WAIT_REASON_SERVICE_PAUSED)
    (pool,) = (await operator.call("ListPools", pb.ListPoolsRequest())).pools
    assert pool.mode == pb.POOL_MODE_PAUSED and pool.waiting == 2
    await operator.call("ResumePool", pb.ResumePoolRequest(pool="main"))
    assert (await ana.hear("matched")).partner.partner_id == "bob"


async def test_the_kill_switch_outlives_a_restart_and_beats_a_resume(
    stage: Any, wish: Any, operator: Operator
) -> None:
    await operator.call("StopPairing", pb.StopPairingRequest())
    await stage.kill()
    await stage.start()
    again = Operator(stage)
    assert (await again.call("ListPools", pb.ListPoolsRequest())).pairing_stopped
    resumed = await again.call("ResumePool", pb.ResumePoolRequest(pool="main"))
    assert resumed.mode == pb.POOL_MODE_PAUSED
    ana = await seeking(stage, "ana", wish())
    await seeking(stage, "bob", wish())
    await ana.hear("queued", reason=pb.WAIT_REASON_SERVICE_PAUSED)
    await again.call("AllowPairing", pb.AllowPairingRequest())
    await ana.hear("matched")
    await again.close()


async def test_a_draining_pool_pairs_who_waits_and_takes_nobody(
    stage: Any, wish: Any, operator: Operator
) -> None:
    ana = await seeking(stage, "ana", wish("ja"))
    await ana.hear("queued")
    drained = await operator.call("DrainPool", pb.DrainPoolRequest(pool="main"))
    assert drained.mode == pb.POOL_MODE_DRAINING
    refused = await stage.device("bob").open()
    for _ in range(1_000):  # the mode is read once a wave
        await refused.send(wish=wish("ja"))
        try:
            await refused.until(lambda: bool(refused.news))
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            break
        await refused.send(cancel=pb.Cancel())
        await refused.hear("cancelled")
        refused.news.clear()
    else:
        pytest.fail("somebody new came in")


async def test_only_operators_may(stage: Any, operator: Operator) -> None:
    nobody = Operator(stage, "reviewer")
    for method, request in (
        ("ListPools", pb.ListPoolsRequest()),
        ("PausePool", pb.PausePoolRequest(pool="main")),
        ("StopPairing", pb.StopPairingRequest()),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await nobody.call(method, request)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await operator.call("DrainPool", pb.DrainPoolRequest(pool="moon"))
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
    await nobody.close()


async def test_the_page_shows_and_switches_after_asking(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/matching/pools/live")
    assert page.status_code == 200 and page.headers["refresh"] == "2"
    assert "main" in page.text and "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    asked = await browser.get(f"/matching/pools/switch?{PAUSE}")
    assert "Pause the pool main?" in asked.text and "Yes, pause" in asked.text
    assert "paused" not in (await browser.get("/matching/pools/live")).text, "only asked"
    done = await browser.post("/matching/pools/switch", content=PAUSE, headers=FORM)
    assert done.status_code == 303 and done.headers["location"] == "/matching/pools/live"
    assert 'class="mode paused"' in (await browser.get("/matching/pools/live")).text
    everything = "pool=*&mode=PAUSED"
    await browser.post("/matching/pools/switch", content=everything, headers=FORM)
    assert "All pairing is stopped" in (await browser.get("/matching/pools/live")).text
    assert (await browser.get("/matching/pools/style.css")).headers["content-type"] == (
        "text/css; charset=utf-8"
    )


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (PAUSE, {"origin": "http://evil.example"}, 403, "FOREIGN_ORIGIN"),
        (PAUSE, {"sec-fetch-site": "cross-site"}, 403, "FOREIGN_ORIGIN"),
        ("pool=moon&mode=PAUSED", {}, 404, "POOL_UNKNOWN"),
        ("pool=main&mode=LOUD", {}, 400, "ENUM_UNKNOWN"),
        ("pool=main", {}, 400, "ENUM_UNKNOWN"),
        ("x" * 2000, {}, 400, "FORM_TOO_LARGE"),
    ],
)
async def test_the_page_refuses_by_reason(
    browser: httpx.AsyncClient, body: str, headers: dict[str, str], status: int, reason: str
) -> None:
    answer = await browser.post("/matching/pools/switch", content=body, headers=FORM | headers)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)


async def test_a_token_without_the_role_sees_nothing(
    stage: Any, browser: httpx.AsyncClient
) -> None:
    token = stage.issuer.issue("x", audience_of("matching"), age_band=AgeBand.ADULT)
    bearer = {"authorization": f"Bearer {token}"}
    for path in ("/matching/pools/live", f"/matching/pools/switch?{PAUSE}"):
        answer = await browser.get(path, headers=bearer)
        assert (answer.status_code, answer.json()["reason"]) == (403, "ROLE_MISSING")
    unknown = await browser.get("/matching/pools/switch?pool=moon&mode=OPEN")
    assert unknown.json()["reason"] == "POOL_UNKNOWN"


def test_a_few_people_are_not_told_apart() -> None:
    assert [people(count) for count in (0, 1, 4, 5, 80)] == ["0", "1 to 4", "1 to 4", "5", "80"]
