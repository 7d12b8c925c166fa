"""A producer that stays silent is given up, also where no caller waits as long as a batch may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError
from prometheus_client import CollectorRegistry

from inyeon.runtime.log import kafka_producer
from inyeon.runtime.log.kafka_metrics import KafkaMetrics
from inyeon.runtime.log.kafka_producer import Publisher
from inyeon.runtime.log.port import NewRecord

pytestmark = pytest.mark.unit

PUBLISH_S = 0.05
BATCH = [(NewRecord("t", "k", b"v", {}), 0)]


class Sent:
    """The library's future of one record."""

    exception: Exception | None = None

    def add_both(self, tell: Callable[[object], None]) -> None:
        self.tell = tell


class SilentProducer:
    """Takes records and says nothing by itself."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []

    def send(self, *_: Any) -> Sent:
        self.sent.append(Sent())
        return self.sent[-1]

    def close(self, timeout: float) -> None:
        """As the library's."""


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[SilentProducer]:
    made: list[SilentProducer] = []

    def make(*_: Any) -> SilentProducer:
        made.append(SilentProducer())
        return made[-1]

    monkeypatch.setattr(kafka_producer, "make_client", make)
    monkeypatch.setattr(kafka_producer, "PUBLISH_S", PUBLISH_S)
    return made


async def impatient(publisher: Publisher) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(PUBLISH_S / 5):
            await publisher.publish(BATCH)


async def until_replaced(publisher: Publisher, clients: list[SilentProducer]) -> bool:
    for _ in range(100):
        await impatient(publisher)
        if len(clients) > 1:
            return True
    return False


async def test_a_client_that_is_silent_to_impatient_callers_is_replaced(
    clients: list[SilentProducer],
) -> None:
    publisher = Publisher({}, KafkaMetrics(CollectorRegistry()))
    assert await until_replaced(publisher, clients)
    await publisher.close()


@pytest.fixture
async def left(
    clients: list[SilentProducer], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Publisher, Any]]:
    """A publisher whose caller left, and the record that is still under way."""
    monkeypatch.setattr(kafka_producer, "PUBLISH_S", 60.0)
    publisher = Publisher({}, KafkaMetrics(CollectorRegistry()))
    await impatient(publisher)
    (sent,) = clients[0].sent
    yield publisher, sent
    await publisher.close()


async def test_a_batch_that_fails_after_its_caller_left_counts(
    left: tuple[Publisher, Any], clients: list[SilentProducer]
) -> None:
    publisher, sent = left
    sent.exception = KafkaTimeoutError("given up")
    sent.tell(sent)
    assert await until_replaced(publisher, clients)


async def test_a_late_acknowledgement_keeps_the_client(
    left: tuple[Publisher, Any], clients: list[SilentProducer]
) -> None:
    publisher, sent = left
    sent.value = SimpleNamespace(topic="t", partition=0, offset=7)
    sent.tell(sent)
    await impatient(publisher)
    assert len(clients) == 1
