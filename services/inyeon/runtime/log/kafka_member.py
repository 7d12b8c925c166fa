"""A member of a consumer group on Kafka.

Static: after a crash and a restart under the same replica name it finds its partitions again
without a rebalance. It leaves on `close`, so that others take over at once. Whoever joins under the
same name fences it: then every call raises LogFenced, for two processes with one name can only harm
each other. A name that all replicas share (`Log.join`) makes use of it: the new holder need not
wait for the end of the old one's session.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from kafka import TopicPartition as Place
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.errors import CommitFailedError, FencedInstanceIdError, UnknownMemberIdError
from kafka.structs import MemberState

from inyeon.runtime.errors import LogFenced, LogUnavailable
from inyeon.runtime.log.assigning import TopicPartition
from inyeon.runtime.log.kafka_admin import Admin
from inyeon.runtime.log.kafka_blocking import blocking
from inyeon.runtime.log.kafka_commits import Commits
from inyeon.runtime.log.kafka_errors import FENCED, port_error
from inyeon.runtime.log.kafka_metrics import KafkaMetrics
from inyeon.runtime.log.kafka_poller import CLOSE_S, Poller
from inyeon.runtime.log.kafka_settings import REQUEST_S, SESSION_S, Options
from inyeon.runtime.log.port import Position, Record

# The group may wait for a dead member's session (6 s) before it lets a new one in, and 5 s more.
JOIN_S = SESSION_S + 5.0
COMMIT_S = 2 * REQUEST_S  # a coordinator that moves is found within one lost request
RETRY_S = 0.1


class KafkaMember(Poller):
    """Implements `GroupConsumer`. Use after `enter`; `left` is called once when it is closed."""

    def __init__(
        self,
        options: Options,
        topics: Sequence[str],
        start_from: datetime | None,
        admin: Admin,
        metrics: KafkaMetrics,
        left: Callable[[KafkaMember], None],
    ) -> None:
        reset = {} if start_from is None else {"auto_offset_reset": "none"}
        super().__init__(options | reset, options["group_id"], metrics)
        self._topics = list(topics)
        self._start_from = start_from
        self._admin = admin
        self._left = left
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._given: set[TopicPartition] = set()  # of which something was returned since they came
        self._commits = Commits()
        self._guard = threading.Lock()  # of _assigned and _given: both change on a rebalance
        self._joined = False
        self._silent_polls = 0
        self._member_id = ""  # of this client, as far as partitions are known to belong to it
        self._leaving_id = ""
        self._told = False  # that the group gave us up, since the id was looked at
        self._closing: asyncio.Task[None] | None = None

    async def enter(self) -> None:
        """Returns when the group has let it in. Raises LogUnavailable; then it is closed."""
        self.start()
        try:
            async with asyncio.timeout(JOIN_S):
                while not self._joined:
                    self.check_open()
                    await self.buffer.wait(JOIN_S)
        except BaseException as error:
            await self.close()
            if isinstance(error, TimeoutError):
                raise LogUnavailable(f"{self.name} let nobody in for {JOIN_S:g} s") from error
            raise

    async def poll(self, max_records: int, timeout_s: float) -> Sequence[Record]:
        """Next records of the partitions held."""
        records = await self.take(max_records, timeout_s)
        with self._guard:
            self._given.update({(record.topic, record.partition) for record in records})
        return records

    def mark(self, positions: Sequence[Position]) -> None:
        """What `given_up` commits, of partitions that are still held."""
        done = {Place(p.topic, p.partition): p.offset + 1 for p in positions}
        with self._guard:
            self._commits.ask({p: o for p, o in done.items() if self._holds(p)})

    async def commit(self, positions: Sequence[Position]) -> None:
        """Makes progress durable within COMMIT_S. Raises LogFenced, LogUnavailable.

        What was asked for and not answered is committed when the partition has to be given up.
        """
        self.check_open()
        wanted = {Place(p.topic, p.partition): p.offset + 1 for p in positions}
        self._check_held(wanted)
        self._commits.ask(wanted)
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + COMMIT_S
        while left := self._commits.unanswered(wanted):
            error = await self._try_to_commit(left)
            if error is None:
                return
            self._check_held(left)
            if loop.time() + RETRY_S >= deadline_s:
                raise port_error(error, "offsets are not committed") from error
            await asyncio.sleep(RETRY_S)

    def assigned(self) -> frozenset[TopicPartition]:
        """(topic, partition) pairs held now."""
        return self._assigned

    async def close(self) -> None:
        """Leaves the group, within some 4 s whatever the broker does."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    def begin(self, consumer: Any) -> None:
        """Subscribes, and learns the partitions before it joins: a leader that learns them
        afterwards makes everybody join a second time."""
        consumer.subscribe(topics=self._topics, listener=_Rebalances(self))
        consumer.topics()

    def polled(self, consumer: Any) -> None:
        """Notices when it has joined, which may be with no partition at all."""
        metadata = consumer.group_metadata()
        state = metadata.state
        self._check_name(consumer, state)
        self._check_id(metadata.member_id)
        if state == MemberState.REBALANCING:
            # The library forgets to finish a join that lasts longer than a poll where changed
            # metadata began it: the reason is gone once the new assignment is made. Then the member
            # sends no heartbeats any more and spins. Wanting to rejoin makes it finish.
            consumer._coordinator.request_rejoin()
        elif state == MemberState.STABLE and not self._joined:
            self._joined = True
            self.buffer.wake()

    def _check_name(self, consumer: Any, state: str) -> None:
        """The library stops its heartbeats when the broker answers them with FENCED_INSTANCE_ID,
        says so to nobody and goes on fetching. While it joins they stop too, but not for a whole
        poll after it has joined."""
        coordinator = consumer._coordinator
        joined = state == MemberState.STABLE and not coordinator.rejoining
        if coordinator._heartbeat_enabled or not joined:
            self._silent_polls = 0
            return
        self._silent_polls += 1
        if self._silent_polls > 1:
            raise FencedInstanceIdError("heartbeats are refused")

    def _check_id(self, member_id: str) -> None:
        """Who comes back under a new id was given up by the group. The library does not say so when
        it learns it in the middle of a join: then it claims what others hold by now."""
        if self._member_id and member_id and member_id != self._member_id and not self._told:
            raise UnknownMemberIdError("given up by the group without a word")
        if member_id:
            self._member_id, self._told = member_id, False

    def reset(self) -> None:
        """What was held is held no more, unless the next client gets it again."""
        self._leaving_id, self._member_id = self.consumer.group_metadata().member_id, ""
        with self._guard:
            self._assigned = frozenset()

    def unplaced(self, consumer: Any, places: Sequence[Place]) -> None:
        """Partitions without a commit begin at the first record of the moment, or at the end."""
        if self._start_from is None:
            super().unplaced(consumer, places)
            return
        timeout_ms = int(REQUEST_S * 1e3)
        moment_ms = int(self._start_from.timestamp() * 1e3)
        found = consumer.offsets_for_times(dict.fromkeys(places, moment_ms), timeout_ms=timeout_ms)
        ends = consumer.end_offsets(list(places), timeout_ms=timeout_ms)
        for place in places:
            first = found.get(place)
            consumer.seek(place, ends[place] if first is None else first.offset)

    def gained(self, places: set[Place]) -> None:
        """Partitions came. Called by the client's own thread, like `given_up` and `lost`."""
        gained = {(place.topic, place.partition) for place in places}
        with self._guard:
            self._given -= gained
            self._commits.forget(places)
            self._assigned |= gained
        self.relook()
        self.metrics.shared_out(self.name)

    async def given_up(self, places: set[Place]) -> None:
        """Partitions go to others, who wait until this returns: first their records, then what was
        asked to be committed, then the partitions themselves."""
        self.buffer.drop(places)
        open_commits = self._commits.open_of(places)
        if open_commits:
            try:
                await self._send(self.consumer, open_commits)
                self._commits.answer(open_commits)
            except Exception as error:  # they come again elsewhere
                self.log.warning("%s: not committed before giving up: %s", self.name, error)
        self.lost(places)
        self.metrics.shared_out(self.name)

    def given_up_by_group(self, places: set[Place]) -> None:
        """We were silent for too long."""
        self._told = True
        self.lost(places)

    def lost(self, places: set[Place]) -> None:
        """Partitions are somebody else's already."""
        self.buffer.drop(places)
        with self._guard:
            self._assigned -= {(place.topic, place.partition) for place in places}

    def _check_held(self, wanted: dict[Place, int]) -> None:
        with self._guard:
            foreign = [place for place in wanted if not self._holds(place)]
        if foreign:
            place = f"{foreign[0].topic}/{foreign[0].partition}"
            raise LogFenced(f"{self.name}: {place} is held by another member")

    def _holds(self, place: Place) -> bool:
        return place in self._assigned and place in self._given

    async def _try_to_commit(self, offsets: dict[Place, int]) -> Exception | None:
        """None when it is done. Committing only puts work on the client's own thread, so that it
        need not wait for a poll to end.

        Not by the library's `commit_async`: while it looks for the coordinator, its answer says no
        more than that there is one (3.0.12, `commit_offsets_async`).
        """
        consumer = self.consumer
        try:
            async with asyncio.timeout(REQUEST_S + 1.0):
                schedule = consumer._coordinator._manager.call_soon
                await _answer(schedule(self._send_if_held, consumer, offsets))
        except FENCED as error:
            self.fenced(error)
            self.check_open()
        except LogFenced:
            raise
        except Exception as error:
            return error
        self._commits.answer(offsets)
        return None

    async def _send_if_held(self, consumer: Any, offsets: dict[Place, int]) -> None:
        """In the client's own thread, where partitions come and go: a broker takes the commit of
        any member, whoever holds the partition."""
        self._check_held(offsets)
        await self._send(consumer, offsets)

    async def _send(self, consumer: Any, offsets: dict[Place, int]) -> None:
        if consumer.group_metadata().member_id != self._member_id:
            raise CommitFailedError("the group knows us under a new id")
        await consumer._coordinator._send_offset_commit_request(self._commits.offsets(offsets))

    async def _close(self) -> None:
        self.stop()
        with suppress(LogUnavailable):
            await blocking(f"{self.name}-end", self.wait_for_end, 2 * CLOSE_S)
        self._assigned = frozenset()
        self.metrics.behind(self.name, id(self), {})
        if self._leaving_id and self.failure is None:
            instance = self._options["group_instance_id"]
            await self._admin.leave(self.name, instance, self._leaving_id)
        self._left(self)


class _Rebalances(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, member: KafkaMember) -> None:
        self._member = member

    async def on_partitions_assigned(self, assigned: set[Place]) -> None:
        self._member.gained(assigned)

    async def on_partitions_revoked(self, revoked: set[Place]) -> None:
        await self._member.given_up(revoked)

    async def on_partitions_lost(self, lost: set[Place]) -> None:
        self._member.given_up_by_group(lost)


async def _answer(future: Any) -> None:
    """Waits on the loop for what the client's thread will answer."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def resolve() -> None:
        if done.done():
            return
        if future.exception is not None:
            done.set_exception(future.exception)
        else:
            done.set_result(None)

    def arrived(_: object) -> None:
        with suppress(RuntimeError):  # the loop has ended, nobody waits any more
            loop.call_soon_threadsafe(resolve)

    future.add_both(arrived)
    await done
