"""Group commit: what all sessions took in since the last one, in one transaction; then the
acknowledgements.

The contract gives 500 ms. A commit starts `every_s` (default 250 ms) after the first window, or at
once when a verdict moved or many windows wait, so the transaction has the rest.
"""

from __future__ import annotations

import asyncio

from inyeon.moderation.app.live import LiveSession
from inyeon.moderation.app.ports import Change, Ledger, Meter, PassSigner, SignedPass
from inyeon.moderation.domain import snapshot
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import StoreUnavailable

PASS_REUSED_S = (
    5.0  # a pass lives 30 s: the oldest one told still has 25, and signing costs a fifth
)
# Between the starts of two commits: whatever hurries meanwhile goes together. Most of a commit is
# the same for one change and for twenty; a lone one waits for nothing.
GAP_S = 0.03
RETRY_S = 0.5  # the store is away: devices keep what is not acknowledged, so waiting loses nothing


class GroupCommit:
    """Owns the set of sessions that wait. One task runs it."""

    def __init__(
        self,
        ledger: Ledger,
        signer: PassSigner,
        clock: Clock,
        meter: Meter,
        *,
        every_s: float,
        at_windows: int,
    ) -> None:
        self._ledger = ledger
        self._signer = signer
        self._clock = clock
        self._meter = meter
        self._every_s = every_s
        self._at_windows = at_windows
        self._waiting: dict[str, LiveSession] = {}
        self._windows = 0
        self._some = asyncio.Event()
        self._now = asyncio.Event()
        self._began_s = float("-inf")
        self._busy = asyncio.Lock()  # guards one commit at a time: drain may meet the loop

    def note(self, live: LiveSession, *, at_once: bool = False) -> None:
        """The session took something in."""
        self._waiting[live.session_id] = live
        self._windows += 1
        self._some.set()
        if at_once or self._windows >= self._at_windows:
            self._now.set()

    async def run(self) -> None:
        """Commits until cancelled. A store that is away is tried again; nothing is acknowledged
        meanwhile."""
        while True:
            await self._some.wait()
            await self._pause(self._every_s)
            if (early_s := self._began_s + GAP_S - self._clock.monotonic()) > 0.0:
                await self._clock.sleep(early_s)
            self._began_s = self._clock.monotonic()
            try:
                await self.commit()
            except StoreUnavailable:
                self._meter.commit_failed()
                await self._clock.sleep(RETRY_S)

    async def commit(self) -> None:
        """Commits what waits. Raises StoreUnavailable, and then everything waits again."""
        async with self._busy:
            taken, self._waiting, self._windows = self._waiting, {}, 0
            self._some.clear()
            self._now.clear()
            if taken:
                await self._write(list(taken.values()))

    async def _write(self, sessions: list[LiveSession]) -> None:
        changes = [_change(live) for live in sessions]
        began_s = self._clock.monotonic()
        try:
            passed = await self._ledger.commit(changes)
        except BaseException:
            self._put_back(sessions)
            raise
        for live, change in zip(sessions, changes, strict=True):
            del live.moved[: len(change.moved)]
            del live.raised[: len(change.raised)]
            self._tell(live, change.through, superseded=live.session_id in passed)
        self._meter.committed(len(sessions), self._clock.monotonic() - began_s)

    def _put_back(self, sessions: list[LiveSession]) -> None:
        for live in sessions:
            self._waiting.setdefault(live.session_id, live)
        self._some.set()

    def _tell(self, live: LiveSession, through: int, *, superseded: bool) -> None:
        if live.over:
            return
        if superseded:
            live.device.superseded()
        elif through and (now := (through, self._pass_for(live))) != live.told:
            live.told = now
            live.device.acknowledged(*now)

    def _pass_for(self, live: LiveSession) -> SignedPass | None:
        now_s = self._clock.monotonic()
        if not live.machine.may_pass(now_s):
            live.last_pass = None
            return None
        if live.last_pass is None or now_s - live.last_pass_s > PASS_REUSED_S:
            version, at = live.machine.policy.version, self._clock.now()
            live.last_pass_s = now_s
            live.last_pass = self._signer.sign(
                live.user_id, live.session_id, live.device_key, version, at
            )
        return live.last_pass

    async def _pause(self, duration_s: float) -> None:
        """Returns after `duration_s`, or at once when somebody asked for it."""
        sleep = asyncio.ensure_future(self._clock.sleep(duration_s))
        hurry = asyncio.ensure_future(self._now.wait())
        try:
            await asyncio.wait({sleep, hurry}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            hurry.cancel()


def _change(live: LiveSession) -> Change:
    return Change(
        live.user_id,
        live.session_id,
        live.epoch,
        live.through,
        snapshot.take(live.machine),
        tuple(live.moved),
        tuple(live.raised),
    )
