"""Brings dead letters back: publishes them to their topic again, for the group that refused them.

For each key in the order in which its records were first published, all that wait; see
`replays.py` for what the headers say and why no order is broken. The key is released by the
consumer, in the transaction of the effect of its last letter, so nothing here touches a store, and
a key that has refused more meanwhile stays dead until the next replay.

Repeating a replay does nothing twice: each letter is marked when it is published, and a crash
between the two publishes records again that consumers with a store have seen by then. Groups
without a store forget their dead keys when their process ends; there a replayed record may come
after newer ones of its key, and their handlers keep the newest themselves, as after any repetition.

On compacted topics a replayed record is for a moment the newest of its key although a newer one may
have been published; that one was refused, so the next replay sets it right. Replay until nothing
waits.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import TopicMismatch
from inyeon.runtime.log.letters import Letter, mark_of, read_letters
from inyeon.runtime.log.port import Log, NewRecord, TopicSpec
from inyeon.runtime.log.records import partition_of
from inyeon.runtime.log.replays import Replay

PUBLISH_AT_ONCE = 200  # of at most 256 KiB: 50 MB in the very worst case


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters to replay. Keys are taken whole, as order wants it."""

    group: str | None = None
    key: str | None = None
    reason: str | None = None
    """Keys with a letter of this reason."""
    limit: int | None = None
    """At most so many letters; of the last key perhaps not all, but the first ones."""
    discard: bool = False
    """Give up the letters of `reason` (without one: all that are selected) instead."""


@dataclass(slots=True)
class KeyPlan:
    """What happens to the letters of one key and group, in their order."""

    letters: Sequence[Letter]
    """Those to replay."""
    discarded: Sequence[Letter]
    releases: int | None
    """Offset up to which everything refused is done, where nothing of the key is left out."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay would do."""

    keys: Sequence[KeyPlan]
    stuck: Sequence[Letter]
    """Cut letters: they and what follows them wait until they are discarded."""

    @property
    def replayed(self) -> int:
        return sum(len(key.letters) for key in self.keys)

    @property
    def discarded(self) -> int:
        return sum(len(key.discarded) for key in self.keys)


def plan(waiting: Iterable[Letter], selection: Selection) -> Plan:
    """Chooses keys by their oldest letter and cuts at the limit."""
    keys: list[KeyPlan] = []
    stuck: list[Letter] = []
    left = selection.limit
    for letters in _by_key(waiting):
        if not _is_selected(letters, selection):
            continue
        chosen, cut = _before_a_cut(letters, selection)
        stuck += cut
        chosen = chosen if left is None else chosen[:left]
        left = None if left is None else left - len(chosen)
        if chosen:
            keys.append(_key_plan(letters, chosen, selection))
    return Plan(keys, stuck)


async def replay(log: Log, spec: TopicSpec, planned: Plan, clock: Clock) -> None:
    """Publishes and marks. Raises LogUnavailable, and TopicMismatch where the topic has other
    partitions than `spec`; what is marked by then is done, the rest is for the next time."""
    sender = _Sender(log, spec, clock)
    for some in _chunks(planned.keys):
        await sender.send(some)


async def replay_waiting(log: Log, spec: TopicSpec, selection: Selection, clock: Clock) -> Plan:
    """Reads, plans and replays; returns what it did."""
    planned = plan((await read_letters(log, spec.name)).waiting, selection)
    await replay(log, spec, planned, clock)
    return planned


def _by_key(waiting: Iterable[Letter]) -> list[list[Letter]]:
    keys: dict[tuple[str, str], list[Letter]] = {}
    for letter in waiting:
        keys.setdefault((letter.group, letter.key), []).append(letter)
    return [sorted(letters, key=lambda letter: letter.origin) for letters in keys.values()]


def _is_selected(letters: Sequence[Letter], selection: Selection) -> bool:
    first = letters[0]
    return (
        selection.group in (None, first.group)
        and selection.key in (None, first.key)
        and (selection.reason is None or any(x.reason == selection.reason for x in letters))
    )


def _before_a_cut(
    letters: Sequence[Letter], selection: Selection
) -> tuple[Sequence[Letter], Sequence[Letter]]:
    for i, letter in enumerate(letters):
        if letter.is_cut and not _is_discarded(letter, selection):
            return letters[:i], letters[i:]
    return letters, ()


def _is_discarded(letter: Letter, selection: Selection) -> bool:
    return selection.discard and selection.reason in (None, letter.reason)


def _key_plan(letters: Sequence[Letter], chosen: Sequence[Letter], selection: Selection) -> KeyPlan:
    whole = len(chosen) == len(letters)
    return KeyPlan(
        [letter for letter in chosen if not _is_discarded(letter, selection)],
        [letter for letter in chosen if _is_discarded(letter, selection)],
        max(letter.refused_at[1] for letter in letters) if whole else None,
    )


def _chunks(keys: Sequence[KeyPlan]) -> Iterable[Sequence[KeyPlan]]:
    """Whole keys, some 200 records each."""
    chunk: list[KeyPlan] = []
    size = 0
    for key in keys:
        chunk.append(key)
        size += max(1, len(key.letters))
        if size >= PUBLISH_AT_ONCE:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


@dataclass(slots=True)
class _Sender:
    log: Log
    spec: TopicSpec
    clock: Clock
    partition_keys: dict[int, str] = field(default_factory=dict)

    async def send(self, keys: Sequence[KeyPlan]) -> None:
        """The first record of each key, then, knowing where it is, the others."""
        firsts = await self._publish([(key, self._first(key)) for key in keys if key.letters])
        await self._mark([key.letters[0] for key in keys if key.letters])
        rest = [
            (key, self._again(key, i, first))
            for (key, first) in zip((k for k in keys if k.letters), firsts, strict=True)
            for i in range(1, len(key.letters))
        ]
        for start in range(0, len(rest), PUBLISH_AT_ONCE):
            await self._publish(rest[start : start + PUBLISH_AT_ONCE])
        await self._mark([letter for key in keys for letter in key.letters[1:]])
        controls = [k for k in keys if not k.letters and k.releases is not None]
        await self._publish([(key, self._control(key)) for key in controls])
        await self._mark([letter for key in keys for letter in key.discarded])

    async def _publish(self, records: Sequence[tuple[KeyPlan, NewRecord]]) -> list[int]:
        """Offsets of the records."""
        if not records:
            return []
        positions = await self.log.publish([record for _, record in records])
        for (key, _), position in zip(records, positions, strict=True):
            wanted = (key.letters or key.discarded)[0].refused_at[0]
            if position.partition != wanted:
                message = f"{self.spec.name} has other partitions than the {self.spec.partitions}"
                raise TopicMismatch(f"{message} known here: {wanted} was {position.partition}")
        return [position.offset for position in positions]

    async def _mark(self, letters: Sequence[Letter]) -> None:
        if letters:
            await self.log.publish([mark_of(letter) for letter in letters])

    def _first(self, key: KeyPlan) -> NewRecord:
        return self._again(key, 0, None)

    def _again(self, key: KeyPlan, index: int, first: int | None) -> NewRecord:
        letter = key.letters[index]
        is_last = index == len(key.letters) - 1
        said = Replay(
            letter.group,
            f"{letter.origin[0]}@{letter.origin[1]}",
            first,
            key.releases if is_last else None,
        )
        own = {n: t for n, t in letter.record.headers.items() if not n.startswith("dlq_")}
        value = None if "dlq_tombstone" in letter.record.headers else letter.record.value
        return self._new(letter, letter.key, value, own | said.headers())

    def _control(self, key: KeyPlan) -> NewRecord:
        letter = key.discarded[-1]
        said = Replay(letter.group, "", None, key.releases, letter.key)
        headers = {
            "event_id": str(uuid.uuid4()),
            "type": "inyeon.replay",
            "schema_version": "1",
            "version": "1",
            "occurred_at": self.clock.now().isoformat(),
        }
        digest = hashlib.blake2b(letter.key.encode(), digest_size=16).hexdigest()
        return self._new(letter, f"replay/{digest}", b"", headers | said.headers())

    def _new(
        self, letter: Letter, key: str, value: bytes | None, headers: dict[str, str]
    ) -> NewRecord:
        partition, partitions = letter.refused_at[0], self.spec.partitions
        if partition >= partitions:
            raise TopicMismatch(f"a letter comes from {self.spec.name}/{partition} of {partitions}")
        if partition_of(key, partitions) == partition:
            return NewRecord(self.spec.name, key, value, headers)
        if partition not in self.partition_keys:
            self.partition_keys[partition] = partition_key_for(partition, partitions)
        return NewRecord(self.spec.name, key, value, headers, self.partition_keys[partition])


def partition_key_for(partition: int, partitions: int) -> str:
    """A partition key that leads to a partition of any log: all of them hash alike. Raises
    ValueError where there is no such partition."""
    if not 0 <= partition < partitions:
        raise ValueError(f"partition {partition} of {partitions}")
    names = (f"p{i}" for i in count())
    return next(name for name in names if partition_of(name, partitions) == partition)
