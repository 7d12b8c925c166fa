"""What outlives a stream: its session's epoch, what is acknowledged, and the last number sent.

Epochs rise for each user of a stream, over all of the user's sessions, so that a replica which
finds two streams of one person knows the newer one. Every write is conditional on the session's
epoch: a half-open stream elsewhere writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import NotAllowed, SessionSuperseded
from inyeon.runtime.store.port import Transaction
from inyeon.runtime.streams.port import SessionInfo


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session as it stands when a stream takes it over."""

    epoch: int
    acknowledged: int
    """Highest client sequence that is done; 0 at first."""
    last_sent: int
    """Highest server sequence known to have been given out; 0 at first."""
    resumed: bool
    """The session existed before."""


Progress = tuple[SessionInfo, int]
"""A session and the client sequence through which it is acknowledged."""


class SessionStore(Protocol):
    """Sessions of one service's streams."""

    async def open(
        self, stream: str, user_id: str, client_id: str, session_id: str
    ) -> OpenedSession:
        """Takes the next epoch of the user. Raises NotAllowed (SESSION_FOREIGN) where the session
        is somebody else's, StoreUnavailable.
        """
        ...

    async def record(self, tx: Transaction, items: Sequence[Progress]) -> frozenset[SessionInfo]:
        """Writes acknowledgements of many sessions in the caller's transaction and returns those
        whose epoch is no longer theirs; nothing was written for them, and the caller must write
        nothing of theirs either. Progress never goes back.
        """
        ...

    async def acknowledge(self, info: SessionInfo, through: int) -> None:
        """`record` for one session in a transaction of its own. Raises SessionSuperseded."""
        ...

    async def leave(self, info: SessionInfo, last_sent: int) -> None:
        """The stream is over: keeps the last number sent, unless a newer stream took over."""
        ...

    async def prune(self, before: datetime) -> int:
        """Forgets sessions that nobody opened since; returns how many. A forgotten session that is
        opened again starts at 0, and a device that goes on from there is refused (SEQUENCE_GAP).
        """
        ...


def foreign_session() -> NotAllowed:
    """The refusal of somebody else's session; says nothing about whose it is."""
    message = "the session id is not yours: choose a random one"
    return NotAllowed(message, reason="SESSION_FOREIGN", field="control.open.session_id")


def superseded(info: SessionInfo) -> SessionSuperseded:
    """The refusal of a write by an old epoch."""
    return SessionSuperseded(f"the {info.stream} session was opened again after epoch {info.epoch}")


@dataclass(frozen=True, slots=True)
class _Kept:
    user_id: str
    state: OpenedSession
    opened_at: datetime


class MemorySessions:
    """The twin of `StoreSessions` in memory. A transaction's rollback does not reach it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._epochs: dict[tuple[str, str], int] = {}

    async def open(
        self, stream: str, user_id: str, client_id: str, session_id: str
    ) -> OpenedSession:
        key = (stream, session_id)
        kept = self._kept.get(key)
        if kept is not None and kept.user_id != user_id:
            raise foreign_session()
        epoch = self._epochs[stream, user_id] = self._epochs.get((stream, user_id), 0) + 1
        state = OpenedSession(epoch, 0, 0, resumed=False)
        if kept is not None:
            state = replace(kept.state, epoch=epoch, resumed=True)
        self._kept[key] = _Kept(user_id, state, self._clock.now())
        return state

    async def record(self, tx: Transaction, items: Sequence[Progress]) -> frozenset[SessionInfo]:
        return frozenset(info for info, through in items if not self._advance(info, through))

    async def acknowledge(self, info: SessionInfo, through: int) -> None:
        if not self._advance(info, through):
            raise superseded(info)

    async def leave(self, info: SessionInfo, last_sent: int) -> None:
        kept = self._held(info)
        if kept is not None:
            last_sent = max(last_sent, kept.state.last_sent)
            self._put(info, replace(kept, state=replace(kept.state, last_sent=last_sent)))

    async def prune(self, before: datetime) -> int:
        old = [key for key, kept in self._kept.items() if kept.opened_at < before]
        for key in old:
            del self._kept[key]
        return len(old)

    def _advance(self, info: SessionInfo, through: int) -> bool:
        kept = self._held(info)
        if kept is None:
            return False
        through = max(through, kept.state.acknowledged)
        self._put(info, replace(kept, state=replace(kept.state, acknowledged=through)))
        return True

    def _held(self, info: SessionInfo) -> _Kept | None:
        kept = self._kept.get((info.stream, info.session_id))
        return kept if kept is not None and kept.state.epoch == info.epoch else None

    def _put(self, info: SessionInfo, kept: _Kept) -> None:
        self._kept[info.stream, info.session_id] = kept
