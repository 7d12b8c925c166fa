"""The service where its dependencies stumble: poison tickets, an absent log, the pool page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from inyeon.matching.adapters.consumers import GROUP_EDGES, GROUP_VERDICTS
from inyeon.matching.settings import MatchingSettings
from inyeon.runtime.errors import LogFenced, SettingsRefused
from inyeon.runtime.log.envelope import new_event
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.port import GroupConsumer, NewRecord, Position
from inyeon.runtime.log.topics import EDGES, TICKETS, VERDICTS
from inyeon_protos.events.v1 import events_pb2
from inyeon_protos.matching.v1 import matching_pb2 as pb

pytestmark = pytest.mark.integration

FATES = ("applied", "poison")
Commit = Callable[[Sequence[Position]], Awaitable[None]]


async def seeking(stage: Any, user: str, wish: pb.Wish) -> Any:
    device = await stage.device(user).open()
    device.keep_beating()
    await device.seek(wish)
    return device


async def test_tickets_that_cannot_be_read_hold_up_nobody(stage: Any, wish: Any) -> None:
    headers = {"type": "inyeon.events.v1.TicketWaiting", "schema_version": "1"}
    unreadable = NewRecord(TICKETS, "x", b"\xff\xff", headers, "main")
    empty = events_pb2.TicketWaiting(ticket_id="y", user_id="y", pool="main", wish=pb.Wish())
    now = stage.clock.now()
    wishless = new_event(TICKETS, "y", empty, occurred_at=now, partition_key="main")
    unknown = NewRecord(TICKETS, "z", b"", {"type": "what.is.This"}, "main")
    await stage.log.publish([unreadable, wishless, unknown])
    ana = await seeking(stage, "ana", wish())
    await ana.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)
    labels = {"group": "matching-pool-main", "topic": TICKETS}
    name = "inyeon_consumer_records_total"
    counted = [stage.metrics.get_sample_value(name, labels | {"fate": f}) for f in FATES]
    assert counted == [1, 3]


async def test_an_absent_log_refuses_seekers_and_comes_back(stage: Any, wish: Any) -> None:
    ana = await stage.device("ana").open()
    stage.log.outage = True
    await ana.send(wish=wish())
    with pytest.raises(Exception, match="UNAVAILABLE"):
        await ana.hear("queued")
    stage.log.outage = False
    ana.error = None
    await ana.open()
    ana.keep_beating()
    await ana.seek(wish())
    await ana.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)


async def test_a_closed_session_cancels_its_ticket(stage: Any, wish: Any) -> None:
    ana = await seeking(stage, "ana", wish())
    ticket = (await ana.hear("queued")).ticket_id
    await ana.finish()
    again = await seeking(stage, "ana", wish())
    assert (await again.hear("queued")).ticket_id != ticket


async def test_an_erased_persons_verdict_goes_and_their_edges_stay(stage: Any, wish: Any) -> None:
    await stage.verdict("ana", "PROTECT")
    await stage.edge("ana", "bob")
    ana = await seeking(stage, "ana", wish())
    await ana.hear("paused", reason=pb.WAIT_REASON_NOT_CLEAR)
    headers = {"schema_version": "1", "version": "99"}
    gone = [
        NewRecord(VERDICTS, "ana", None, headers | {"type": "inyeon.events.v1.VerdictRecorded"}),
        NewRecord(EDGES, "ana/bob", None, headers | {"type": "inyeon.events.v1.EdgeRecorded"}),
    ]
    await stage.log.publish(gone)
    await ana.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)
    await seeking(stage, "bob", wish())
    await ana.hear("queued", reason=pb.WAIT_REASON_NO_ONE_FITS)


@pytest.mark.parametrize("group, topic", [(GROUP_VERDICTS, VERDICTS), (GROUP_EDGES, EDGES)])
async def test_an_owner_whose_place_in_the_log_is_taken_steps_down_and_owns_anew(
    stage: Any, wish: Any, group: str, topic: str
) -> None:
    ana = await seeking(stage, "ana", wish())
    await ana.hear("queued")
    stranger = await stage.log.join(f"{group}-0", [topic], member="seat-0")
    with pytest.raises(LogFenced, match="seat-0"):
        async with asyncio.timeout(20):
            while True:  # nobody took the lease, so the pool comes back, and with it the place
                await stranger.poll(1, 0.0)
                await asyncio.sleep(0.01)
    bob = await seeking(stage, "bob", wish())
    await bob.hear("queued")


class GivingUp(MemoryLog):
    """Gives the reader of tickets up at its first commit, as a group does with one that was cut
    off."""

    given_up = 0

    async def join(
        self,
        group: str,
        topics: Sequence[str],
        start_from: datetime | None = None,
        member: str = "",
    ) -> GroupConsumer:
        joined = await super().join(group, topics, start_from, member)
        if TICKETS in topics:
            setattr(joined, "commit", self._refused(joined.commit))  # noqa: B010 - a method
        return joined

    def _refused(self, commit: Commit) -> Commit:
        async def refused(positions: Sequence[Position]) -> None:
            if not self.given_up:
                self.given_up += 1
                raise LogFenced("held by another member")
            await commit(positions)

        return refused


async def test_an_owner_that_its_group_gave_up_goes_on(stages: Any, wish: Any) -> None:
    log = GivingUp()
    stage = await stages(log)
    ana = await seeking(stage, "ana", wish())
    await ana.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)
    await seeking(stage, "bob", wish())
    assert (await ana.hear("matched")).match_id
    for number in range(30):  # offsets are committed once a second
        if not log.given_up:
            await seeking(stage, f"more-{number}", wish())
            await asyncio.sleep(0.1)
    assert log.given_up == 1
    await seeking(stage, "cem", wish("ko"))
    assert (await (await seeking(stage, "dan", wish("ko"))).hear("matched")).match_id


async def test_the_pool_page_shows_numbers_and_no_people(stage: Any, wish: Any) -> None:
    ana = await seeking(stage, "ana", wish())
    await ana.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)
    app = FastAPI()
    app.include_router(stage.service.routes)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/matching/pools")
    (pool,) = answer.json()["pools"]
    assert (pool["pool"], pool["waiting"], pool["paused"], pool["epoch"]) == ("main", 1, 0, 1)
    assert pool["last_pass_at"] and "ana" not in answer.text


async def test_the_service_is_ready_when_its_pool_is_rebuilt(stage: Any) -> None:
    device = await stage.device("ana").open()
    assert device.error is None
    for _ in range(1_000):
        if stage.service.ready():
            break
        await asyncio.sleep(0.01)
    assert stage.service.ready()
    await stage.service.drain()
    await device.until(lambda: device.ending is not None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INYEON_MATCHING_TRANSLATION_ROUTES", '["en"]'),
        ("INYEON_MATCHING_WAVE_EVERY_S", "0"),
        ("INYEON_MATCHING_POOL", "No Pool"),
        ("INYEON_MATCHING_WAVE_EVRY_S", "1"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises((ValueError, SettingsRefused)):
        MatchingSettings()
