"""Acknowledgements, many sessions in one transaction.

What they acknowledge is done already, so they may wait a quarter of a second; without the group,
1,000 people with a heartbeat a second were 1,000 transactions a second.
"""

from __future__ import annotations

from datetime import timedelta

import structlog

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import Unavailable
from inyeon.runtime.store.port import Store
from inyeon.runtime.streams.port import CloseReason, Session
from inyeon.runtime.streams.sessions import SessionStore
from inyeon_protos.matching.v1.matching_pb2 import SeekResponse

EVERY_S = 0.25
PRUNE_EVERY_S = 3600.0
SESSIONS_KEPT = timedelta(days=1)
"""A session that nobody resumed for a day is over."""

_log = structlog.get_logger(__name__)


class GroupAcks:
    """Collects and writes."""

    def __init__(self, store: Store, sessions: SessionStore, clock: Clock) -> None:
        self._store = store
        self._sessions = sessions
        self._clock = clock
        self._due: dict[Session[SeekResponse], int] = {}

    def add(self, session: Session[SeekResponse], through: int) -> None:
        """Everything of the session up to `through` is done."""
        self._due[session] = through

    def drop(self, session: Session[SeekResponse]) -> None:
        """The stream is over; the device sends again what was not acknowledged."""
        self._due.pop(session, None)

    async def run(self) -> None:
        """Writes what is due, four times a second."""
        while True:
            await self._clock.sleep(EVERY_S)
            await self.flush()

    async def prune(self) -> None:
        """Forgets sessions of yesterday, once an hour; with the store away, an hour later."""
        while True:
            try:
                await self._sessions.prune(self._clock.now() - SESSIONS_KEPT)
            except Unavailable as error:
                _log.warning("sessions.store_away", error=str(error))
            await self._clock.sleep(PRUNE_EVERY_S)

    async def flush(self) -> None:
        """Writes what is due; with the store away it stays due."""
        due = dict(self._due)
        if not due:
            return
        try:
            async with self._store.transaction() as tx:
                items = [(session.info, through) for session, through in due.items()]
                lost = await self._sessions.record(tx, items)
        except Unavailable as error:
            _log.warning("acks.store_away", error=str(error))
            return
        for session, through in due.items():
            if self._due.get(session) == through:
                del self._due[session]
            if session.info in lost:
                session.end(CloseReason.SUPERSEDED)
            else:
                session.tell_acknowledged(through)
