"""Banks follow the log, and every state of them can be told from the one before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from inyeon.inference.banks import Banks
from inyeon.inference.errors import BankTooLarge
from inyeon.inference.port import BankEntry
from inyeon.inference.scripted import SPACE, ScriptedInference
from inyeon.moderation.app.banking import GATHER_S, RETRY_S, Banking
from inyeon.moderation.domain.opinions import Judged, Source
from inyeon.runtime.clock import ManualClock

pytestmark = pytest.mark.unit


class Meter:
    """Implements JudgingMeter; remembers sizes of banks."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def judged(self, source: Source, judged: Judged, took_s: float) -> None: ...
    def broke(self) -> None: ...
    def heard(self, outcome: str) -> None: ...
    def opened_cases(self, count: int) -> None: ...
    def degraded(self, degraded: bool) -> None: ...

    def banked(self, entries: int) -> None:
        self.sizes.append(entries)


class Server(ScriptedInference):
    """Remembers every generation, and refuses banks while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.states: list[Banks] = []
        self.refuses = False

    async def put_bank(self, entries: Sequence[BankEntry], generation: int = 0) -> None:
        if self.refuses:
            raise BankTooLarge("as scripted")
        self.states.append(Banks.of(SPACE, entries, generation))


def entry(name: str) -> BankEntry:
    return BankEntry(name, "nudity", SPACE, np.ones(64, np.float32))


class Room:
    """A bank that is kept for a server."""

    def __init__(self) -> None:
        self.clock, self.server, self.meter = ManualClock(), Server(), Meter()
        self.banking = Banking(self.server, self.clock, self.meter)

    async def pass_time(self, seconds: float = GATHER_S) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        await self.clock.advance(seconds)
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    room = Room()
    running = asyncio.create_task(room.banking.run())
    yield room
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_nothing_is_handed_over_before_all_was_read(room: Room) -> None:
    room.banking.take("a", (0, 4), entry("a"))
    await room.pass_time()
    assert not room.server.states and not room.banking.tried.is_set()
    room.banking.begin()
    await room.pass_time()
    assert [len(state.entries) for state in room.server.states] == [1]
    assert room.banking.tried.is_set() and room.meter.sizes == [1]


async def test_the_first_entry_is_newer_than_no_entry(room: Room) -> None:
    """Of equal generations a digest decides, and most would lose against the empty bank's."""
    room.banking.begin()
    await room.pass_time()
    room.banking.take("a", (0, 0), entry("a"))
    await room.pass_time()
    empty, first = room.server.states
    assert (len(empty.entries), len(first.entries)) == (0, 1)
    assert first.number > empty.number > 0


async def test_changes_that_come_together_go_together(room: Room) -> None:
    room.banking.begin()
    await room.pass_time()
    for offset in range(5):
        room.banking.take(f"e{offset}", (offset % 2, offset), entry(f"e{offset}"))
    await room.pass_time()
    assert [len(state.entries) for state in room.server.states] == [0, 5]


async def test_who_starts_anew_after_an_entry_left_the_log_is_not_older(room: Room) -> None:
    """A tombstone takes an entry and its version out of a compacted log, never its offset."""
    room.banking.take("gone", (0, 0), entry("gone"))
    room.banking.take("gone", (0, 1), None)
    room.banking.take("a", (0, 2), entry("a"))
    room.banking.begin()
    await room.pass_time()
    later = Room()
    running = asyncio.create_task(later.banking.run())
    later.banking.take("a", (0, 2), entry("a"))
    later.banking.begin()
    await later.pass_time()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert later.server.states[0].generation == room.server.states[0].generation


async def test_a_disabled_entry_leaves_and_the_state_is_newer(room: Room) -> None:
    room.banking.take("a", (0, 0), entry("a"))
    room.banking.begin()
    await room.pass_time()
    room.banking.take("a", (0, 1), None)
    await room.pass_time()
    with_it, without = room.server.states
    assert not without.entries and without.number > with_it.number


async def test_a_bank_that_was_refused_is_offered_again(room: Room) -> None:
    room.server.refuses = True
    room.banking.begin()
    await room.pass_time()
    assert room.banking.tried.is_set() and not room.meter.sizes
    room.server.refuses = False
    await room.pass_time(RETRY_S)
    await room.pass_time()
    assert room.meter.sizes == [0]
