"""What a member on Kafka does when the library keeps from it that others hold its partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from kafka import TopicPartition as Place
from kafka.errors import FencedInstanceIdError, UnknownMemberIdError
from kafka.future import Future
from kafka.structs import ConsumerGroupMetadata, MemberState
from prometheus_client import CollectorRegistry

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import LogFenced, LogUnavailable
from inyeon.runtime.log import kafka_member
from inyeon.runtime.log.kafka_admin import Admin
from inyeon.runtime.log.kafka_member import KafkaMember
from inyeon.runtime.log.kafka_metrics import KafkaMetrics
from inyeon.runtime.log.kafka_settings import member_options
from inyeon.runtime.log.port import Position, Record
from inyeon.runtime.settings import RuntimeSettings

pytestmark = pytest.mark.unit

PLACE = Place("t", 0)
HERE = [Position("t", 0, 4)]


class Client:
    """As much of the library's consumer and coordinator as a commit and a poll touch."""

    def __init__(self) -> None:
        self.member_id = "first"
        self.state = MemberState.STABLE
        self.rejoining = False
        self.sent: list[dict[Place, int]] = []
        self.before_sending: Callable[[], None] = lambda: None
        self._heartbeat_enabled = True
        self._coordinator = self._manager = self

    def group_metadata(self) -> ConsumerGroupMetadata:
        return ConsumerGroupMetadata("g", 1, self.member_id, "i", self.state)

    def call_soon(self, work: Callable[..., Awaitable[None]], *arguments: Any) -> Future:
        future = Future()

        async def run() -> None:
            self.before_sending()
            try:
                await work(*arguments)
                future.success(None)
            except Exception as error:
                future.failure(error)

        self.task = asyncio.ensure_future(run())
        return future

    async def _send_offset_commit_request(self, offsets: dict[Place, Any]) -> None:
        self.sent.append({place: found.offset for place, found in offsets.items()})


@pytest.fixture
async def client() -> Client:
    return Client()


@pytest.fixture
async def member(client: Client, monkeypatch: pytest.MonkeyPatch) -> KafkaMember:
    """A member that was given a record of t/0, without a thread."""
    monkeypatch.setattr(kafka_member, "COMMIT_S", 0.05)
    monkeypatch.setattr(kafka_member, "RETRY_S", 0.01)
    settings = RuntimeSettings(kafka_servers=("a:1",), replica="here")
    member = KafkaMember(
        member_options(settings, "g", 0),
        ["t"],
        None,
        Admin({}, 1),
        KafkaMetrics(CollectorRegistry()),
        lambda _: None,
    )
    member.consumer = client
    member.gained({PLACE})
    member.polled(client)
    member.buffer.put([Record("t", 0, 4, "k", b"v", {}, SystemClock().now())])
    assert len(await member.poll(1, 1.0)) == 1
    return member


async def test_commits_what_it_holds_once(member: KafkaMember, client: Client) -> None:
    await member.commit(HERE)
    await member.commit(HERE)
    assert client.sent == [{PLACE: 5}]


async def test_commits_nothing_that_went_before_it_was_sent(
    member: KafkaMember, client: Client
) -> None:
    client.before_sending = lambda: member.lost({PLACE})
    with pytest.raises(LogFenced, match="another member"):
        await member.commit(HERE)
    assert client.sent == []


async def test_commits_nothing_under_an_id_that_it_does_not_know(
    member: KafkaMember, client: Client
) -> None:
    client.member_id = "second"
    with pytest.raises(LogUnavailable, match="new id"):
        await member.commit(HERE)
    assert client.sent == []
    with pytest.raises(UnknownMemberIdError):
        member.polled(client)  # the thread makes a new client


async def test_who_is_told_that_it_was_given_up_stays(member: KafkaMember, client: Client) -> None:
    member.given_up_by_group({PLACE})
    client.member_id = "second"
    member.gained({PLACE})
    member.polled(client)
    with pytest.raises(LogFenced):
        await member.commit(HERE)  # what it was given before is not its own any more


async def test_what_is_asked_and_not_answered_goes_with_the_partition(
    member: KafkaMember, client: Client
) -> None:
    member._commits.ask({PLACE: 5})
    await member.given_up({PLACE})
    assert client.sent == [{PLACE: 5}]
    assert member.assigned() == frozenset()


async def test_what_is_marked_goes_with_the_partition(member: KafkaMember, client: Client) -> None:
    member.mark([*HERE, Position("t", 1, 8)])  # the other partition is somebody else's
    assert client.sent == []
    await member.given_up({PLACE, Place("t", 1)})
    assert client.sent == [{PLACE: 5}]


async def test_refused_heartbeats_mean_that_another_has_the_name(
    member: KafkaMember, client: Client
) -> None:
    client._heartbeat_enabled = False
    client.rejoining = True  # then the library stops them itself
    for _ in range(3):
        member.polled(client)
    client.rejoining = False
    member.polled(client)
    with pytest.raises(FencedInstanceIdError):
        member.polled(client)
