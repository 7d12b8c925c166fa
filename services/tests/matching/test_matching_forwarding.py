"""Two replicas: a device's stream may be at either one, whoever owns its pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from inyeon.matching.api import routing as routes
from inyeon.matching.app import state
from inyeon.runtime.identity.claims import AgeBand
from inyeon_protos.matching.v1 import matching_pb2 as pb

pytestmark = pytest.mark.integration


@dataclass
class Pair:
    """The owner of the pool and another replica."""

    owner: Any
    other: Any


async def eventually(holds: Callable[[], bool]) -> None:
    for _ in range(1_500):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came")


def owns(stage: Any, pool: str = "main") -> bool:
    value = stage.metrics.get_sample_value("inyeon_matching_pool_owner", {"pool": pool})
    return bool(value)


@pytest.fixture
async def pair(stages: Any) -> Pair:
    """The first one owns the pool, as it was there first; both are ready."""
    owner = await stages()
    await eventually(owner.service.ready)
    other = await stages(log=owner.log, beside=owner)
    await eventually(other.service.ready)
    assert owns(owner) and not owns(other)
    return Pair(owner, other)


async def at(stage: Any, user: str, **facts: Any) -> Any:
    device = stage.device(user, **facts)
    await device.open()
    device.keep_beating()
    return device


async def test_people_at_different_replicas_meet(pair: Pair, wish: Any) -> None:
    ana, bob = await at(pair.owner, "ana"), await at(pair.other, "bob")
    await ana.seek(wish())
    await bob.seek(wish())
    match_id = (await bob.hear("matched")).match_id
    assert (await ana.hear("matched")).match_id == match_id
    await bob.send(end_match=pb.EndMatch(match_id=match_id, reason=pb.END_REASON_LEFT))
    assert (await ana.hear("match_over")).match_id == match_id
    assert (await bob.hear("match_over")).by_me


async def test_two_at_the_replica_that_does_not_own_meet(pair: Pair, wish: Any) -> None:
    ana, bob = await at(pair.other, "ana"), await at(pair.other, "bob")
    await ana.seek(wish())
    await bob.seek(wish())
    assert (await ana.hear("matched")).match_id == (await bob.hear("matched")).match_id


async def test_a_cancel_and_an_end_for_good_reach_the_owner(pair: Pair, wish: Any) -> None:
    ana, bob = await at(pair.other, "ana"), await at(pair.other, "bob")
    await ana.seek(wish("ja"))
    ticket = (await ana.hear("queued")).ticket_id
    await ana.send(cancel=pb.Cancel())
    assert (await ana.hear("cancelled")).ticket_id == ticket
    await bob.seek(wish("ja"))
    await bob.hear("queued")
    await bob.finish()
    hall = await at(pair.owner, "bob")
    await hall.send(cancel=pb.Cancel())
    assert (await hall.hear("cancelled")).ticket_id == "", "there was no ticket any more"


async def test_the_owners_refusal_reaches_the_device(pair: Pair, wish: Any) -> None:
    ana = await at(pair.other, "ana", country="us")
    await ana.send(wish=wish())
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ana.until(lambda: False)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "us" in (refused.value.details() or "")


async def test_a_forged_pass_ends_the_stream_at_the_next_heartbeat(pair: Pair, wish: Any) -> None:
    ana = await at(pair.other, "ana")
    await ana.seek(wish())
    forged = pair.other.safety_pass("somebody-else")
    for _ in range(200):  # the owner's refusal comes with an answer to some batch
        if ana.error is None:
            with suppress(asyncio.InvalidStateError):
                await ana.send(heartbeat=pb.Heartbeat(present=True, safety_pass=forged))
            await asyncio.sleep(0.05)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ana.until(lambda: False)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_who_goes_and_comes_is_told_within_a_second(pair: Pair, wish: Any) -> None:
    ana = await at(pair.other, "ana")
    await ana.seek(wish())
    await ana.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)
    ana.present = False
    bob = await at(pair.owner, "bob")
    peers = pair.other.network["there"]
    before = peers.asked
    await eventually(lambda: peers.asked >= before + 3)  # her heartbeats say it every 50 ms
    await bob.seek(wish())
    await bob.hear("queued", reason=pb.WAIT_REASON_NO_ONE_FITS)
    ana.present = True
    async with asyncio.timeout(5):
        assert (await bob.hear("matched")).match_id == (await ana.hear("matched")).match_id


async def test_heartbeats_of_many_are_few_calls(pair: Pair, wish: Any) -> None:
    devices = [await at(pair.other, f"u{n}") for n in range(20)]
    await asyncio.gather(*(one.seek(wish("ja", genders=[3])) for one in devices))
    peers = pair.other.network["there"]
    before, beats = peers.asked, sum(one.acknowledged for one in devices)
    await eventually(lambda: sum(one.acknowledged for one in devices) > beats + 400)
    assert (peers.asked - before) * 10 < 400


async def test_a_dead_owners_pool_and_its_people_come_here(pair: Pair, wish: Any) -> None:
    ana, bob = await at(pair.other, "ana"), await at(pair.other, "bob")
    await ana.seek(wish("ja"))
    ticket = (await ana.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)).ticket_id
    await pair.owner.kill()
    await eventually(lambda: owns(pair.other))
    ana.news.clear()
    assert (await ana.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)).ticket_id == ticket
    await bob.seek(wish("ja"))
    assert (await ana.hear("matched")).match_id == (await bob.hear("matched")).match_id
    assert ana.error is None and bob.error is None, "their streams never broke"
    await pair.owner.start()


async def test_without_an_owner_a_device_is_told_so_in_time(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "PATIENCE_S", 0.3)
    pair.owner.network["here"] = None
    ana = pair.other.device("ana")
    await ana.open()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ana.until(lambda: False)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "another replica" in (refused.value.details() or "")


async def test_a_stream_that_moved_is_not_sent_away_by_its_old_end(
    pair: Pair, wish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "TOLD_EVERY_S", 0.5)
    old = await at(pair.owner, "ana")
    await old.seek(wish("ja"))
    await old.hear("queued")
    new = pair.other.device("ana", age_band=AgeBand.ADULT)
    await new.open()
    new.keep_beating()
    await new.hear("queued")
    await old.finish()
    new.news.clear()
    assert await new.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)


async def another_ticket(device: Any, than: str) -> str:
    """The next ticket that the device hears of."""
    for _ in range(50):
        ticket: str = (await device.hear("queued")).ticket_id
        if ticket != than:
            return ticket
    pytest.fail("the ticket never moved")


async def test_who_waits_long_meets_in_a_neighbouring_pool(stages: Any, wish: Any) -> None:
    rules = {"pools": ("*",), "overflow_after_s": 3.0}
    owner = await stages(**rules)
    await eventually(owner.service.ready)
    other = await stages(log=owner.log, beside=owner, **rules)
    await eventually(other.service.ready)
    ana, kim = await at(other, "ana", country="US"), await at(owner, "kim", country="FR")
    await ana.seek(wish())
    first = await another_ticket(ana, "")
    second = await another_ticket(ana, first)
    await kim.seek(wish())
    match_id = (await ana.hear("matched")).match_id
    assert (await kim.hear("matched")).match_id == match_id
    await ana.send(end_match=pb.EndMatch(match_id=match_id, reason=pb.END_REASON_LEFT))
    assert (await kim.hear("match_over")).match_id == match_id
    await ana.hear("match_over")
    await ana.seek(wish())
    assert await another_ticket(ana, second)


async def test_a_moved_ticket_survives_its_replica(stages: Any, wish: Any) -> None:
    stage = await stages(pools=("*",), overflow_after_s=0.5)
    kim = await at(stage, "kim", country="KR")
    await kim.seek(wish())
    await another_ticket(kim, await another_ticket(kim, ""))
    await stage.kill()
    await stage.start()
    await kim.close()
    kim.news.clear()
    kim.error = None
    await kim.open()
    kim.keep_beating()
    assert (await kim.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)).ticket_id
    nam = await at(stage, "nam", country="TH")
    await nam.seek(wish())
    assert (await kim.hear("matched")).match_id == (await nam.hear("matched")).match_id


async def test_news_goes_to_the_newer_stream_elsewhere(pair: Pair, wish: Any) -> None:
    old = await at(pair.owner, "ana")
    await old.seek(wish("ja"))
    await old.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)
    new = await at(pair.other, "ana")
    await new.hear("queued")
    bob = await at(pair.owner, "bob")
    await bob.seek(wish("ja"))
    assert (await new.hear("matched")).match_id == (await bob.hear("matched")).match_id
    assert not [one for one in old.news if one.HasField("matched")]
