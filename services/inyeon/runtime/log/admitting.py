"""Which records of a batch have an effect: not those of a dead key, nor what was seen before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.runtime.log.envelope import event_id_of, version_of
from inyeon.runtime.log.port import Record
from inyeon.runtime.log.replays import Dead, key_of, replay_of
from inyeon.runtime.store.dialects import is_postgresql
from inyeon.runtime.store.ledger import Ledger, TopicKey


class Fate(Enum):
    """What to do with a record."""

    APPLY = "not seen before"
    SEEN = "its effect, or a newer one, is in the database"
    REFUSED = "its key is dead"


@dataclass(slots=True)
class Admitted:
    """Fates of a batch, in its order, and the keys that live again with its effects."""

    fates: list[Fate]
    released: list[TopicKey] = field(default_factory=list)


def sort_out(records: Sequence[Record], group: str, dead: dict[TopicKey, Dead]) -> Admitted:
    """Fates by dead keys and replays alone. Changes `dead` as the batch does: a key that is
    released takes what follows, one that refuses again waits for more."""
    admitted = Admitted([])
    for record in records:
        admitted.fates.append(_fate(record, group, dead, admitted.released))
    return admitted


def _fate(record: Record, group: str, dead: dict[TopicKey, Dead], released: list[TopicKey]) -> Fate:
    replay = replay_of(record)
    if replay is None:
        return _fate_of_new(record, dead)
    key = (record.topic, key_of(record))
    at = dead.get(key)
    if replay.group != group or (replay.controls is not None and at is None):
        return Fate.SEEN
    if at is None:
        return Fate.APPLY
    if not replay.passes(at, record.partition):
        return _refused(key, record, dead) if replay.controls is None else Fate.SEEN
    if replay.frees(at, record.partition):
        del dead[key]
        released.append(key)
    return Fate.APPLY if replay.controls is None else Fate.SEEN


def _fate_of_new(record: Record, dead: dict[TopicKey, Dead]) -> Fate:
    key = (record.topic, record.key)
    return _refused(key, record, dead) if key in dead else Fate.APPLY


def _refused(key: TopicKey, record: Record, dead: dict[TopicKey, Dead]) -> Fate:
    dead[key] = dead[key].and_also(record.partition, record.offset)
    return Fate.REFUSED


def _once_each(records: Sequence[Record], new: Collection[str]) -> list[Fate]:
    left = set(new)
    fates = []
    for record in records:
        event_id = event_id_of(record)
        fates.append(Fate.APPLY if event_id in left else Fate.SEEN)
        left.discard(event_id)
    return fates


class Admission:
    """Admits batches by the ledger, inside the transaction of their effects."""

    def __init__(
        self,
        group: str,
        state_topics: Collection[str],
        expires: Callable[[str], datetime],
    ) -> None:
        """`expires`: until when an event of a topic may be redelivered."""
        self._group = group
        self._state_topics = state_topics
        self._expires = expires
        self._ledger = Ledger(group)

    async def admit(self, connection: AsyncConnection, records: Sequence[Record]) -> Admitted:
        """Notes the batch. Raises PoisonRecord for none of those that `check` lets through."""
        if is_postgresql(connection) and all(self._is_plain(record) for record in records):
            events = [((r.topic, r.key), event_id_of(r), self._expires(r.topic)) for r in records]
            dead, new = await self._ledger.note_unless_dead(connection, events)
            if not dead:
                return Admitted(_once_each(records, new))
        else:
            keys = {(record.topic, key_of(record)) for record in records}
            dead = await self._ledger.dead_among(connection, keys)
        admitted = sort_out(records, self._group, dead)
        await self._note_events(connection, records, admitted.fates)
        await self._note_versions(connection, records, admitted.fates)
        for topic, key in admitted.released:
            await self._ledger.release(connection, topic, key)
        return admitted

    def check(self, record: Record) -> None:
        """Raises PoisonRecord for a record without what the ledger goes by."""
        if record.topic in self._state_topics:
            version_of(record)
        else:
            event_id_of(record)

    def _is_plain(self, record: Record) -> bool:
        return record.topic not in self._state_topics and replay_of(record) is None

    async def _note_events(
        self, connection: AsyncConnection, records: Sequence[Record], fates: list[Fate]
    ) -> None:
        places: dict[str, int] = {}
        expires = {}
        for i, record in enumerate(records):
            if fates[i] is Fate.APPLY and record.topic not in self._state_topics:
                event_id = event_id_of(record)
                if event_id in places:
                    fates[i] = Fate.SEEN
                else:
                    places[event_id] = i
                    expires[event_id] = self._expires(record.topic)
        new = await self._ledger.note_events(connection, expires)
        for event_id, i in places.items():
            if event_id not in new:
                fates[i] = Fate.SEEN

    async def _note_versions(
        self, connection: AsyncConnection, records: Sequence[Record], fates: list[Fate]
    ) -> None:
        states = [
            (i, (record.topic, record.key), version_of(record))
            for i, record in enumerate(records)
            if fates[i] is Fate.APPLY and record.topic in self._state_topics
        ]
        held = await self._ledger.hold_versions(connection, {key for _, key, _ in states})
        risen: dict[TopicKey, int] = {}
        for i, key, version in states:
            if version > held[key]:
                held[key] = risen[key] = version
            else:
                fates[i] = Fate.SEEN
        await self._ledger.raise_versions(connection, risen)
