"""Flags into the log: through the store's outbox, and through memory while the store is away."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import Unavailable
from inyeon.runtime.log.envelope import new_event
from inyeon.runtime.log.port import NewRecord
from inyeon.runtime.log.topics import ESCALATIONS
from inyeon.runtime.store.port import Store
from inyeon.translation.app.screening import Flag
from inyeon_protos.events.v1.events_pb2 import EscalationRaised, TextScores

COMMIT_S = 0.5  # a commit takes 5 ms; a caption waits this long for a store in trouble, once
RETRY_S = 1.0
MAX_DELAYED = 1_000  # three a person at once and one a minute: 300 people in an outage

_log = structlog.get_logger(__name__)


class StoreFlags:
    """Flags over a store. While it is away flags wait in memory, oldest lost first; run `run`
    beside it."""

    def __init__(
        self, store: Store, clock: Clock, lost: Callable[[int], None] = lambda _: None
    ) -> None:
        self._store = store
        self._clock = clock
        self._lost = lost
        self._delayed: deque[NewRecord] = deque()
        self._wake = asyncio.Event()

    @property
    def delayed(self) -> int:
        """Flags that wait for the store."""
        return len(self._delayed)

    async def raise_flag(self, flag: Flag) -> bool:
        """As Flags says."""
        record = escalation(flag)
        if not self._delayed and await self._commit([record]):
            return True
        if len(self._delayed) >= MAX_DELAYED:
            self._delayed.popleft()
            self._lost(1)
        self._delayed.append(record)
        self._wake.set()
        return False

    async def run(self) -> None:
        """Background loop: commits what waits, in order, once the store is back."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._delayed:
                batch = list(self._delayed)
                if await self._commit(batch):
                    for _ in batch:
                        self._delayed.popleft()
                else:
                    await self._clock.sleep(RETRY_S)

    async def _commit(self, records: list[NewRecord]) -> bool:
        try:
            async with asyncio.timeout(COMMIT_S), self._store.transaction() as tx:
                for record in records:
                    await tx.emit(record)
        except (Unavailable, TimeoutError) as error:
            _log.warning("flags.delayed", error=type(error).__name__, count=len(records))
            return False
        return True


def escalation(flag: Flag) -> NewRecord:
    """moderation.escalations, key session. Scores only: what was said never leaves this service."""
    classes = tuple(flag.seen.scores)
    event = EscalationRaised(
        escalation_id=flag.escalation_id,
        user_id=flag.user_id,
        session_id=flag.session_id,
        match_id=flag.match_id,
        reason=flag.reason,
        policy_version=flag.policy_version,
        text=TextScores(
            model=flag.seen.model,
            version=flag.seen.version,
            language=flag.seen.language,
            classes=classes,
            scores=[flag.seen.scores[name] for name in classes],
            translated=flag.translated,
        ),
    )
    event.raised_at.FromDatetime(flag.raised_at)
    return new_event(ESCALATIONS, flag.session_id, event, occurred_at=flag.raised_at)
