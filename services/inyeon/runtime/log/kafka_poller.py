"""The thread that owns one consumer of the client: fetches while there is room, holds back while
there is none, and makes a new client when the old one makes no progress.

The library has no asyncio and is not to be used from two threads, so everything but committing
happens here. A poll lasts POLL_S: the first record ends it, so that a long one costs no latency
and little idle time.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import chain
from typing import Any

from kafka import KafkaConsumer, TopicPartition, errors

from inyeon.runtime.errors import InyeonError, LogFenced, LogUnavailable
from inyeon.runtime.log.kafka_buffer import HandOver
from inyeon.runtime.log.kafka_clients import make_client
from inyeon.runtime.log.kafka_errors import FENCED
from inyeon.runtime.log.kafka_metrics import KafkaMetrics
from inyeon.runtime.log.kafka_settings import REQUEST_S, Options
from inyeon.runtime.log.kafka_wire import records_from
from inyeon.runtime.log.port import Record

POLL_S = 1.0
SHORT_POLL_S = 0.1  # below this the library never joins a group
FETCH_RECORDS = 512
HOLD_S = 0.5  # how often a held-back member takes part in its group
BACKOFF_S = 1.0  # a broker that refuses a new client is asked once a second
LAG_EVERY_S = 5.0
# Half of the 60 s within which a reader must move again after a broker came back.
LOOK_EVERY_S = 15.0
STUCK_S = 45.0
# A poll that is under way (0.5 s), the client's own end, and a leave of 1.5 s: below the 5 s that
# a task has at the end of the process.
CLOSE_S = 2.5
# An answer "nothing" means that the partitions were looked at, if that takes no longer than this.
FIRST_LOOK_S = 1.5


class Poller(ABC):
    """Base of members and readers. Calls from the loop: `start`, `take`, `stop`."""

    def __init__(self, options: Options, name: str, metrics: KafkaMetrics) -> None:
        self.metrics = metrics
        self.name = name
        self.buffer = HandOver(asyncio.get_running_loop())
        self.consumer: Any = None
        self.failure: InyeonError | None = None
        """Set once, when nothing will ever come again; `take` raises it."""
        self._options = options
        self._stopping = threading.Event()
        self._looked = False
        self._ends: dict[TopicPartition, int] | None = None
        self._lag_s = 0.0
        self._progress_s = time.monotonic()
        self._look_s = 0.0
        self._thread = threading.Thread(target=self._run, name=f"kafka-{name}", daemon=True)
        self.log = logging.getLogger(__name__)

    @abstractmethod
    def begin(self, consumer: Any) -> None:
        """Subscribes or assigns; in the thread, for each new client."""

    @abstractmethod
    def polled(self, consumer: Any) -> None:
        """After each poll, in the thread."""

    @abstractmethod
    def reset(self) -> None:
        """The client is gone, and with it its partitions; in the thread."""

    def unplaced(self, consumer: Any, places: Sequence[TopicPartition]) -> None:
        """Partitions without a position, where the client does not know a default."""
        raise errors.NoOffsetForPartitionError(places)

    def start(self) -> None:
        """Begins to fetch."""
        self._thread.start()

    async def take(self, max_records: int, timeout_s: float) -> Sequence[Record]:
        """Next records; empty after `timeout_s` without any. Raises LogUnavailable when closed."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while True:
            self.check_open()
            if records := self.buffer.take(max_records):
                return records
            wait_s = timeout_s if self._looked else max(timeout_s, FIRST_LOOK_S)
            left_s = began_s + wait_s - loop.time()
            if left_s <= 0:
                return ()
            await self.buffer.wait(left_s)

    def check_open(self) -> None:
        """Raises LogFenced or LogUnavailable where nothing will come any more."""
        if self._stopping.is_set():
            raise self.failure or LogUnavailable(f"{self.name} is closed")

    def stop(self) -> None:
        """Ends the thread soon; `wait_for_end` waits for it."""
        self._stopping.set()
        self.buffer.nudge()
        self.buffer.wake()

    def wait_for_end(self) -> None:
        """Waits for the thread's end, in a thread that may wait."""
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            self.log.warning("%s: the client does not end; it is left behind", self.name)

    def relook(self) -> None:
        """The partitions changed: what is there must be looked at again."""
        self._looked, self._ends = False, None

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._session()
            except FENCED as error:
                self.fenced(error)
            except errors.KafkaError as error:
                self.log.warning("%s: %s: %s", self.name, type(error).__name__, error)
                self._stopping.wait(BACKOFF_S)
            except Exception:
                self.log.exception("%s: the client failed and is replaced", self.name)
                self.metrics.replaced(self.name)
                self._stopping.wait(BACKOFF_S)

    def fenced(self, error: BaseException) -> None:
        """Somebody else has our name: nothing will come any more. From any thread."""
        said = f"{self.name}: another process runs under our name: {error}"
        if self.failure is None:
            self.log.warning("%s; this member leaves", said)
        self.failure = LogFenced(said)
        self.stop()

    def _session(self) -> None:
        consumer = self.consumer = make_client(KafkaConsumer, self._options)
        self._progressed()
        try:
            self.begin(consumer)
            while not self._stopping.is_set() and not self._stuck(consumer):
                self._round(consumer)
        finally:
            self.reset()
            self.buffer.drop()
            self._end(consumer)

    def _end(self, consumer: Any) -> None:
        try:
            consumer.close(autocommit=False, timeout_ms=int(REQUEST_S * 1e3))
        except Exception as error:  # it may be broken in any way: that is why it goes
            self.log.warning("%s: the client did not close well: %r", self.name, error)

    def _round(self, consumer: Any) -> None:
        if self.buffer.full():
            self._hold_back(consumer)
            return
        fetched = self._poll(consumer, POLL_S if self._looked else SHORT_POLL_S)
        if fetched:
            self._progressed()
            self.buffer.put(fetched)
        self.polled(consumer)
        if not self._looked and self._has_looked(consumer):
            self._looked = True
            self.buffer.wake()
        self._measure(consumer)

    def _poll(self, consumer: Any, timeout_s: float) -> list[Record]:
        try:
            found = consumer.poll(timeout_ms=int(timeout_s * 1e3), max_records=FETCH_RECORDS)
        except (errors.NoOffsetForPartitionError, errors.OffsetOutOfRangeError) as error:
            self.unplaced(consumer, list(error.args[0]))
            return []
        return records_from(chain.from_iterable(found.values()))

    def _hold_back(self, consumer: Any) -> None:
        """Waits for room. Goes on polling with everything paused, for a member that does not poll
        loses its partitions."""
        began_s = time.monotonic()
        paused: set[TopicPartition] = set()
        while not self.buffer.wait_for_room(HOLD_S) and not self._stopping.is_set():
            paused |= consumer.assignment()
            consumer.pause(*paused & consumer.assignment())
            # Partitions that come with this very poll are not paused yet.
            self.buffer.put(self._poll(consumer, SHORT_POLL_S))
            self.polled(consumer)
            self._measure(consumer)
        consumer.resume(*paused & consumer.assignment())
        self._progressed()
        self.metrics.paused(self.name, time.monotonic() - began_s)

    def _has_looked(self, consumer: Any) -> bool:
        """Everything that was there when the partitions came has been fetched."""
        places = consumer.assignment()
        if self._ends is None:
            self._ends = self._ask_ends(consumer, list(places))
        return self._ends is not None and all(
            position_of(consumer, p) >= self._ends.get(p, 0) for p in places
        )

    def _measure(self, consumer: Any) -> None:
        now_s = time.monotonic()
        if now_s - self._lag_s < LAG_EVERY_S:
            return
        self._lag_s = now_s
        lags = dict(self.buffer.waiting())
        for place in consumer.assignment():
            highwater = consumer.highwater(place)
            if highwater is not None:  # then the position is known too
                behind = max(0, highwater - position_of(consumer, place))
                lags[place.topic] = lags.get(place.topic, 0) + behind
        self.metrics.behind(self.name, id(self), lags)

    def _progressed(self) -> None:
        self._progress_s = self._look_s = time.monotonic()

    def _stuck(self, consumer: Any) -> bool:
        """Nothing came for STUCK_S although there is something, or although nothing can be asked:
        clients have stayed silent for ever after a broker's restart."""
        now_s = time.monotonic()
        if now_s - self._look_s < LOOK_EVERY_S:
            return False
        self._look_s = now_s
        if self._at_the_end(consumer):
            self._progress_s = now_s
        if now_s - self._progress_s < STUCK_S:
            return False
        self.log.error("%s: no progress for %.0f s, a new client", self.name, STUCK_S)
        self.metrics.replaced(self.name)
        return True

    def _at_the_end(self, consumer: Any) -> bool:
        places = list(consumer.assignment())
        ends = self._ask_ends(consumer, places)
        return ends is not None and all(position_of(consumer, p) >= end for p, end in ends.items())

    def _ask_ends(
        self, consumer: Any, places: list[TopicPartition]
    ) -> dict[TopicPartition, int] | None:
        """None where the broker does not answer. A new client would not make it, and costs a member
        its partitions."""
        try:
            ends: dict[TopicPartition, int] = consumer.end_offsets(
                places, timeout_ms=int(REQUEST_S * 1e3)
            )
        except errors.KafkaError as error:
            self.log.warning("%s: the broker does not answer: %s", self.name, error)
            return None
        return ends


def position_of(consumer: Any, place: TopicPartition) -> int:
    """Next offset to fetch; -1 where it is not known yet. Asks the broker only then, and for a
    tenth of a second."""
    try:
        position = consumer.position(place, timeout_ms=100)
    except errors.KafkaError:  # it is being looked up, or the partition has gone
        return -1
    return -1 if position is None else int(position)
