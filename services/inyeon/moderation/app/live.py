"""The Observe sessions that this replica holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from inyeon.moderation.app.ports import Device, LiveMatch, Moved, Raised, SignedPass
from inyeon.moderation.domain.machine import VerdictMachine


@dataclass(slots=True, eq=False)
class LiveSession:
    """One session: its machine, its device and what waits for the next commit. Owned by the loop,
    no lock needed."""

    user_id: str
    session_id: str
    epoch: int
    device_key: str
    machine: VerdictMachine
    device: Device
    through: int = 0
    space: tuple[str, str] | None = None
    """Embedding space of this session; others are refused."""
    moved: list[Moved] = field(default_factory=list)
    raised: list[Raised] = field(default_factory=list)
    match: LiveMatch | None = None
    match_read_s: float = float("-inf")
    """Monotonic time when `match` was read from the store."""
    last_pass: SignedPass | None = None
    last_pass_s: float = float("-inf")
    told: tuple[int, SignedPass | None] = (0, None)
    """The last acknowledgement and the pass that came with it."""
    over: bool = False


class LiveSessions:
    """By user: a person is observed by one device at a time, the newest."""

    def __init__(self) -> None:
        self._by_user: dict[str, LiveSession] = {}

    def __len__(self) -> int:
        return len(self._by_user)

    def __iter__(self) -> Iterator[LiveSession]:
        return iter(list(self._by_user.values()))

    def of(self, user_id: str) -> LiveSession | None:
        """The user's session held here."""
        return self._by_user.get(user_id)

    def hold(self, live: LiveSession) -> None:
        """Takes a session in. Of two of the same user the one with the higher epoch stays, in
        whatever order their opens got here: two cameras could show two pictures, and only the
        newest may earn a pass."""
        before = self._by_user.get(live.user_id)
        if before is None or before.epoch <= live.epoch:
            self._by_user[live.user_id] = live
            _pass_on(before, live)
        else:
            _pass_on(live, before)

    def release(self, live: LiveSession) -> None:
        """Lets a session go; does nothing where a newer one took over."""
        live.over = True
        if self._by_user.get(live.user_id) is live:
            del self._by_user[live.user_id]


def _pass_on(older: LiveSession | None, newer: LiveSession) -> None:
    if older is None or older.over:
        return
    older.over = True
    if older.session_id != newer.session_id:
        older.device.superseded()
