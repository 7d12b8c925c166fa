"""What waits to be acknowledged by the platform, and its twin in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from inyeon_edge.errors import OutboxFull

MEMORY_LIMIT = (
    512  # chat lines of one match that nobody could deliver; a person never types as many
)


@dataclass(frozen=True, slots=True)
class Pending:
    """One message that waits."""

    key: int
    """Rises with each message of an outbox, from 1; never used twice."""
    payload: bytes
    """The serialised request, without its sequence."""


class Outbox(Protocol):
    """Keeps messages until they are acknowledged. Called from the loop's thread only; never blocks
    for long."""

    def put(self, payload: bytes, *, goes_first: bool = False) -> int:
        """Keeps a message and returns its key. A full outbox either drops old messages, those with
        `goes_first` before others, and counts them (disk), or raises OutboxFull (memory)."""
        ...

    def after(self, key: int) -> Pending | None:
        """The oldest message with a key above `key`, or nothing."""
        ...

    def mark(self, key: int, sequence: int) -> None:
        """Notes the sequence under which a message is about to be sent; an unknown key changes
        nothing."""
        ...

    def remove(self, keys: Sequence[int]) -> None:
        """Forgets acknowledged messages; unknown keys change nothing."""
        ...

    def reopen(self, acknowledged: int) -> list[int]:
        """A connection opened: forgets messages marked at or below `acknowledged`, returns their
        keys and takes all other marks away, for they are numbered anew."""
        ...

    def __len__(self) -> int:
        """Messages that wait."""
        ...

    @property
    def size_bytes(self) -> int:
        """What they take."""
        ...

    @property
    def dropped(self) -> int:
        """Messages given up because there was no room or they grew too old."""
        ...


class MemoryOutbox:
    """An outbox that ends with the process. Refuses what is over its limit and drops nothing."""

    def __init__(self, limit: int = MEMORY_LIMIT) -> None:
        self._limit = limit
        self._pending: dict[int, bytes] = {}
        self._marks: dict[int, int] = {}
        self._last_key = 0

    def put(self, payload: bytes, *, goes_first: bool = False) -> int:
        if len(self._pending) >= self._limit:
            raise OutboxFull(f"{self._limit} messages wait already")
        self._last_key += 1
        self._pending[self._last_key] = payload
        return self._last_key

    def after(self, key: int) -> Pending | None:
        for each, payload in self._pending.items():
            if each > key:
                return Pending(each, payload)
        return None

    def mark(self, key: int, sequence: int) -> None:
        if key in self._pending:
            self._marks[key] = sequence

    def remove(self, keys: Sequence[int]) -> None:
        for key in keys:
            self._pending.pop(key, None)
            self._marks.pop(key, None)

    def reopen(self, acknowledged: int) -> list[int]:
        done = [key for key, sequence in self._marks.items() if sequence <= acknowledged]
        self.remove(done)
        self._marks.clear()
        return done

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def size_bytes(self) -> int:
        return sum(len(payload) for payload in self._pending.values())

    @property
    def dropped(self) -> int:
        return 0
