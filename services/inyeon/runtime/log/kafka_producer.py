"""Publishing: whole batches to the client's thread-safe send, one wait for all acknowledgements.

An acknowledgement means that all in-sync replicas have the record. A batch that was not
acknowledged in time may be there all the same, or come later: whoever publishes it again must bear
repetition (at least once). The producer is idempotent: its own repetitions neither double nor
reorder.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from kafka import KafkaProducer, errors

from inyeon.runtime.errors import InyeonError, LogUnavailable, RecordTooLarge, UnknownTopic
from inyeon.runtime.log.kafka_blocking import blocking
from inyeon.runtime.log.kafka_clients import make_client
from inyeon.runtime.log.kafka_errors import port_error
from inyeon.runtime.log.kafka_metrics import KafkaMetrics
from inyeon.runtime.log.kafka_settings import BOOTSTRAP_S, PUBLISH_S, REQUEST_S, Options
from inyeon.runtime.log.kafka_wire import wire_headers
from inyeon.runtime.log.port import NewRecord, Position

Placed = tuple[NewRecord, int]
"""A checked record and its partition."""

FLUSH_S = 1.0  # the harness gives each closer 2 s; what waits in an outbox is published again

_logger = logging.getLogger(__name__)


class Publisher:
    """The producer of a process. Sends from one thread, so that batches keep their order."""

    def __init__(self, options: Options, metrics: KafkaMetrics) -> None:
        self._options = options
        self._metrics = metrics
        self._sender = ThreadPoolExecutor(1, "kafka-send")
        self._producer: Any = None
        self._broken = False
        self._waiting: set[_Acks] = set()
        self._closed = False

    async def open(self) -> None:
        """Connects. Raises LogUnavailable."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(BOOTSTRAP_S + REQUEST_S):
                await loop.run_in_executor(self._sender, self._connected)
        except (TimeoutError, errors.KafkaError) as error:
            raise port_error(error, "no broker answers") from error

    async def publish(self, records: Sequence[Placed]) -> list[Position]:
        """Appends in order. Raises UnknownTopic, RecordTooLarge, LogUnavailable within PUBLISH_S.
        A cancelled call is like one without an answer; what becomes of its batch still says whether
        the client is any good."""
        if self._closed:
            raise LogUnavailable("the log is closed")
        acks = _Acks(len(records), asyncio.get_running_loop())
        self._waiting.add(acks)
        self._sender.submit(self._send, records, acks)
        try:
            async with asyncio.timeout(PUBLISH_S):
                positions = await asyncio.shield(acks.done)
        except InyeonError:
            raise
        except asyncio.CancelledError:
            self._watch(acks)
            raise
        except Exception as error:
            acks.done.cancel()
            raise self._failed(error) from error
        finally:
            self._waiting.discard(acks)
        self._metrics.published(Counter(record.topic for record, _ in records))
        return positions

    async def close(self) -> None:
        """Waits a moment for what is on its way. Closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        producer, self._producer = self._producer, None
        with suppress(LogUnavailable):
            await blocking("closing the producer", lambda: _end(producer, FLUSH_S), 2 * FLUSH_S)
        self._sender.shutdown(wait=False, cancel_futures=True)
        for acks in self._waiting:
            acks.fail(LogUnavailable("the log was closed before the answer"))

    def _connected(self) -> Any:
        """The producer; runs in the sender's thread only."""
        if self._broken and self._producer is not None:
            _logger.warning("a batch was not acknowledged: a new producer")
            self._metrics.replaced("producer")
            broken, self._producer = self._producer, None
            self._broken = False
            _end(broken, 0.0)
        if self._producer is None:
            self._producer = make_client(KafkaProducer, self._options)
        return self._producer

    def _send(self, records: Sequence[Placed], acks: _Acks) -> None:
        try:
            producer = self._connected()
            for record, partition in records:
                acks.expect(
                    producer.send(
                        record.topic,
                        record.value,
                        record.key.encode(),
                        wire_headers(record.headers),
                        partition,
                    )
                )
        except Exception as error:  # whatever it is, the caller waits for an answer
            acks.fail(error)

    def _watch(self, acks: _Acks) -> None:
        """Callers may have less time than a batch: a client that is silent for all of them would
        never be given up."""

        def overdue() -> None:
            if not acks.done.done():
                acks.done.set_exception(TimeoutError("nobody waited for the answer any more"))

        def outcome(done: asyncio.Future[list[Position]]) -> None:
            error = None if done.cancelled() else done.exception()
            if isinstance(error, Exception) and not isinstance(error, InyeonError):
                self._failed(error)

        acks.done.add_done_callback(outcome)
        asyncio.get_running_loop().call_later(PUBLISH_S, overdue)

    def _failed(self, error: Exception) -> Exception:
        failure = port_error(error, "not acknowledged")
        # Whatever the client gave up, it may keep silent afterwards: what it drained in that turn
        # it neither sends nor ends (3.0.12, `Sender._send_producer_data`, the return after
        # `reset_producer_id`), and two more batches cost PUBLISH_S each before they say so. Others
        # are answered with the same error for ever. A new client costs a connection.
        self._broken = self._broken or not isinstance(failure, RecordTooLarge | UnknownTopic)
        self._metrics.failed(failure.reason)
        return failure


class _Acks:
    """Counts the acknowledgements of one batch, in the client's thread, and tells the loop once."""

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop) -> None:
        self.done: asyncio.Future[list[Position]] = loop.create_future()
        self._loop = loop
        self._count = count
        self._arrived = itertools.count(
            1
        )  # next() is atomic; acknowledgements come from two threads
        self._futures: list[Any] = []

    def expect(self, future: Any) -> None:
        """One more record is on its way."""
        self._futures.append(future)
        future.add_both(self._arrive)

    def fail(self, error: Exception) -> None:
        """The rest of the batch was not sent."""
        self._tell(error)

    def _arrive(self, _: object) -> None:
        if next(self._arrived) == self._count:
            self._tell(None)

    def _tell(self, error: Exception | None) -> None:
        with suppress(RuntimeError):  # the loop has ended, nobody waits any more
            self._loop.call_soon_threadsafe(self._resolve, error)

    def _resolve(self, error: Exception | None) -> None:
        if self.done.done():
            return
        error = error or next((f.exception for f in self._futures if f.exception), None)
        if error is not None:
            self.done.set_exception(error)
        else:
            sent = [future.value for future in self._futures]
            self.done.set_result([Position(s.topic, s.partition, s.offset) for s in sent])


def _end(producer: Any, timeout_s: float) -> None:
    if producer is None:
        return
    try:
        producer.close(timeout=timeout_s)
    except errors.KafkaError as error:
        # The library leaves its thread running when the flush before the end does not finish.
        _logger.warning("the producer was closed with records on their way: %s", error)
        producer._sender.force_close()
