"""Reads the dead letters of a topic: which there are, and which of them are done with.

The dead letters are their own journal: whoever replays a letter, or gives it up, publishes a mark
to the same topic, which outlives the letter because it is younger. So the same is known everywhere,
on any log, without a place of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from inyeon.runtime.errors import LogUnavailable
from inyeon.runtime.log.port import AllReader, Log, NewRecord, Record
from inyeon.runtime.log.replays import is_offset
from inyeon.runtime.log.topics import dlq_of

MARK = "dlq_done"
"""Header of a mark: `partition@offset` of the record that is done with, see `Letter.origin`."""
_THROUGH = "dlq_through"

READ_AT_ONCE = 500  # of at most 260 KiB: 130 MB in the very worst case
POLL_S = 0.5
# Kafka answers a fetch within its request timeout of 30 s or not at all.
SILENCE_S = 30.0

Place = tuple[int, int]
"""Partition and offset."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter."""

    record: Record
    """As it lies among the dead letters."""
    group: str
    topic: str
    reason: str
    detail: str
    refused_at: Place
    """Where the record was when it was refused."""
    origin: Place
    """Where it was when it was refused first; orders the letters of a key."""
    through: int
    """Offset of the newest letter of the same record among the dead letters."""

    @property
    def key(self) -> str:
        return self.record.key

    @property
    def refused_since(self) -> datetime:
        return self.record.published_at

    @property
    def is_cut(self) -> bool:
        """Not whole, so that it cannot be replayed."""
        return "dlq_cut" in self.record.headers


@dataclass(frozen=True, slots=True)
class Letters:
    """What lies among the dead letters of a topic."""

    waiting: Sequence[Letter]
    """Oldest first, one for each record and group."""
    done: int
    """How many records were replayed or given up."""
    strange: int
    """Records that are no dead letters."""


async def read_letters(log: Log, topic: str) -> Letters:
    """All of them. Raises UnknownTopic, LogUnavailable (also after 30 s of silence)."""
    reader = await log.read_all([dlq_of(topic)])
    try:
        return await _read(reader, topic)
    finally:
        await reader.close()


def mark_of(letter: Letter) -> NewRecord:
    """Says that a letter, and every older one of the same record, is done with."""
    headers = {
        MARK: f"{letter.origin[0]}@{letter.origin[1]}",
        "dlq_group": letter.group,
        _THROUGH: str(letter.through),
    }
    return NewRecord(letter.record.topic, letter.key, b"", headers)


async def _read(reader: AllReader, topic: str) -> Letters:
    waiting: dict[tuple[str, Place], Letter] = {}
    done = strange = 0
    quiet = 0
    while True:
        records = await reader.poll(READ_AT_ONCE, POLL_S)
        for record in records:
            if MARK in record.headers:
                done += _take_away(waiting, record)
            elif (letter := letter_of(record, topic)) is None:
                strange += 1
            else:
                _add(waiting, letter)
        if await reader.caught_up():
            return Letters(tuple(waiting.values()), done, strange)
        quiet = 0 if records else quiet + 1
        if quiet * POLL_S >= SILENCE_S:
            raise LogUnavailable(f"{dlq_of(topic)}: no more records for {SILENCE_S:.0f} s")


def _add(waiting: dict[tuple[str, Place], Letter], letter: Letter) -> None:
    """A record refused twice before it was replayed counts once; the first reason tells more."""
    known = waiting.get((letter.group, letter.origin))
    if known is not None:
        letter = Letter(
            letter.record,
            letter.group,
            letter.topic,
            known.reason,
            known.detail,
            max(known.refused_at, letter.refused_at),
            letter.origin,
            letter.through,
        )
    waiting[letter.group, letter.origin] = letter


def _take_away(waiting: dict[tuple[str, Place], Letter], mark: Record) -> int:
    place = place_of(mark.headers[MARK])
    if place is None:
        return 0
    known = waiting.get((mark.headers.get("dlq_group", ""), place))
    through = mark.headers.get(_THROUGH, "")
    if known is None or not is_offset(through) or known.through > int(through):
        return 0
    del waiting[known.group, known.origin]
    return 1


def letter_of(record: Record, topic: str) -> Letter | None:
    """None where the headers of a dead letter are missing or garbage."""
    headers = record.headers
    refused = place_of(f"{headers.get('dlq_partition', '')}@{headers.get('dlq_offset', '')}")
    group = headers.get("dlq_group", "")
    if refused is None or not group or headers.get("dlq_topic") != topic:
        return None
    origin = place_of(headers.get("dlq_origin", "")) or refused
    reason, detail = headers.get("dlq_reason", ""), headers.get("dlq_detail", "")
    return Letter(record, group, topic, reason, detail, refused, origin, record.offset)


def place_of(said: str) -> Place | None:
    """Of `partition@offset`; None for anything else."""
    partition, at, offset = said.partition("@")
    if not (at and is_offset(partition) and is_offset(offset)):
        return None
    return int(partition), int(offset)
