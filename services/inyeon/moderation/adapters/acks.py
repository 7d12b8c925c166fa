"""Acknowledged sequences of a group commit, by the ground's session store."""

from __future__ import annotations

from collections.abc import Sequence

from inyeon.moderation.app.ports import Change
from inyeon.runtime.store.port import Transaction
from inyeon.runtime.streams.port import SessionInfo
from inyeon.runtime.streams.sessions import SessionStore

STREAM = "observe"


class SessionAcks:
    """Makes acknowledgements durable in the ledger's own transaction."""

    def __init__(self, sessions: SessionStore) -> None:
        self._sessions = sessions

    async def __call__(self, tx: Transaction, changes: Sequence[Change]) -> frozenset[str]:
        gone = await self._sessions.record(tx, [(_info(c), c.through) for c in changes])
        return frozenset(info.session_id for info in gone)


def _info(change: Change) -> SessionInfo:
    return SessionInfo(
        stream=STREAM,
        user_id=change.user_id,
        client_id="",
        session_id=change.session_id,
        epoch=change.epoch,
        resumed=False,
        resume_after=0,
        agent_version="",
    )
