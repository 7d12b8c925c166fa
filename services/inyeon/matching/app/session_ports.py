"""Seams of session vectors: where they outlive the process, and what operators count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from inyeon.matching.domain.session_vectors import SessionVector

Fate = Literal["encoded", "shed", "refused"]


class SessionShelf(Protocol):
    """Keeps the newest vector of each person. Every method is one transaction and may raise
    StoreUnavailable, StoreBusy or StoreConflict: then nothing was written."""

    async def keep(self, vectors: Mapping[str, SessionVector]) -> None:
        """By person; replaces an older one, and leaves a newer one (by `at_s`) alone."""
        ...

    async def of(self, users: Sequence[str]) -> dict[str, SessionVector]:
        """Of those who have one."""
        ...

    async def newest(self, most: int, since_s: float) -> dict[str, SessionVector]:
        """At most so many, none before `since_s`, the oldest of them first."""
        ...

    async def forget(self, user_id: str) -> None:
        """Somebody is erased."""
        ...

    async def forget_before(self, since_s: float) -> None:
        """Older ones are gone for good."""
        ...


class SessionMeter(Protocol):
    """What operators count."""

    def talks(self, fate: Fate, count: int) -> None:
        """Talks left the queue."""
        ...

    def failed(self, reason: str) -> None:
        """The encoder did not answer, or the store."""
        ...

    def lag(self, seconds: float) -> None:
        """A match ended, and so much later waves may use it."""
        ...

    def staleness(self, seconds: float) -> None:
        """A wave paired somebody with a vector; so long ago ended the first match that it lacks, 0
        where it lacks none."""
        ...

    def state(self, known: int, waiting: int) -> None:
        """People with a vector, and talks in the queue."""
        ...
