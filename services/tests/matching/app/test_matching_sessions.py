"""Session vectors in the service: batches, an encoder that is away, bounds, erasure, staleness."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from inyeon.inference.errors import unavailable
from inyeon.inference.sessions import (
    MAX_QUESTIONS,
    MAX_TALKS,
    InProcessSessionEncoder,
    SessionQuestion,
    SessionState,
)
from inyeon.matching.adapters.session_rows import SqlSessionShelf
from inyeon.matching.adapters.tables import TABLES
from inyeon.matching.app import sessions as module
from inyeon.matching.app import talks as queue
from inyeon.matching.app.end_match import close_match, end_match
from inyeon.matching.app.session_ports import SessionShelf
from inyeon.matching.app.sessions import HORIZON_S, RETRY_S, TIDY_S, Sessions
from inyeon.matching.app.wave import run_wave
from inyeon.matching.domain.interests import Encoding, Interests, Space, read_interests
from inyeon.matching.domain.matches import EndReason, LiveMatch, Side
from inyeon.matching.domain.pool import Pool
from inyeon.matching.domain.session_vectors import SessionVector, absorbed
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.tickets import Ticket
from inyeon.matching.workload import synthetic_waiters
from inyeon.runtime.clock import ManualClock
from inyeon.runtime.errors import InvalidRequest, StoreUnavailable, Unavailable
from inyeon.runtime.store.sql import temporary_store

pytestmark = pytest.mark.unit

TICKETS = [waiter.ticket for waiter in synthetic_waiters(200, seed=9)]
TALK_S = 120.0


@dataclass
class Counts:
    """Implements SessionMeter by remembering."""

    fates: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    stale: list[float] = field(default_factory=list)
    now: tuple[int, int] = (0, 0)

    def talks(self, fate: str, count: int) -> None:
        self.fates[fate] += count

    def failed(self, reason: str) -> None:
        self.failures.append(reason)

    def lag(self, seconds: float) -> None:
        self.lags.append(seconds)

    def staleness(self, seconds: float) -> None:
        self.stale.append(seconds)

    def state(self, known: int, waiting: int) -> None:
        self.now = known, waiting


class Moody(InProcessSessionEncoder):
    """The real recipe, unless it is told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.error: Exception | None = None
        self.during: Any = None

    async def encode(
        self, questions: Sequence[SessionQuestion], budget_s: float
    ) -> tuple[SessionState, ...]:
        self.asked.append(len(questions))
        if self.during is not None:
            await self.during()
        if self.error is not None:
            raise self.error
        return await super().encode(questions, budget_s)


@dataclass
class Place:
    """Sessions and everything around them."""

    clock: ManualClock = field(default_factory=ManualClock)
    encoder: Moody = field(default_factory=Moody)
    counts: Counts = field(default_factory=Counts)
    matches: int = 0
    shelf: SessionShelf | None = None

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.encoder, self.clock, self.counts, self.shelf)

    def begin(self, one: Ticket, other: Ticket) -> LiveMatch:
        self.matches += 1
        first, second = (
            Side(ticket.user_id, ticket.wish.languages, "US", 0.0) for ticket in (one, other)
        )
        match = LiveMatch(f"m-{self.matches}", "main", first, second, self.clock.now(), ())
        self.sessions.began(match, (one, other))
        return match

    async def talk(
        self,
        one: Ticket,
        other: Ticket,
        length_s: float = TALK_S,
        reason: EndReason = EndReason.LEFT,
    ) -> None:
        match = self.begin(one, other)
        await self.clock.advance(length_s)
        self.sessions.ended(match, reason, self.clock.now())

    def known(self, ticket: Ticket) -> Any:
        seen = self.sessions.attach(snapshot(ticket))
        return seen.recents[0] if seen.recents else None


def snapshot(*tickets: Ticket) -> Snapshot:
    pool = Pool()
    for ticket in tickets:
        pool.add(ticket, 0.0, 0.0)
        pool.heartbeat(ticket.user_id, 0.0, present=True, pass_until=30.0)
    return pool.snapshot(1.0)


ANA, BOB, CYD = TICKETS[:3]


async def test_a_talk_that_is_over_is_known_after_encoding() -> None:
    place = Place()
    await place.talk(ANA, BOB)
    assert place.known(ANA) is None
    await place.sessions.encode_waiting()
    for mine, partner in ((ANA, BOB), (BOB, ANA)):
        vector = absorbed(None, partner.wish.interests, TALK_S, place.clock.now().timestamp())
        assert vector is not None
        recent = place.known(mine)
        again = recent.whole.astype(float) * recent.step
        np.testing.assert_allclose(again, vector.direction, atol=0.51 * recent.step)
    assert place.known(CYD) is None
    assert place.counts.fates == {"encoded": 2} and place.counts.lags == [0.0, 0.0]


async def test_a_snapshot_of_strangers_stays_as_it_is() -> None:
    place = Place()
    seen = snapshot(CYD)
    assert place.sessions.attach(seen) is seen
    await place.talk(ANA, BOB)
    await place.sessions.encode_waiting()
    assert place.sessions.attach(seen) is seen
    assert [one is None for one in place.sessions.attach(snapshot(CYD, ANA)).recents] == [
        True,
        False,
    ]


async def test_talks_add_up_in_their_order() -> None:
    place = Place()
    await place.talk(ANA, BOB)
    await place.sessions.encode_waiting()
    once = place.known(ANA)
    await place.talk(ANA, CYD)
    assert place.known(ANA) is once, "a wave uses what is there"
    await place.sessions.encode_waiting()
    assert place.known(ANA).steps != once.steps and place.known(ANA).ended_s > once.ended_s


@pytest.mark.parametrize(
    ("length_s", "reason"),
    [(2.0, EndReason.LEFT), *((60.0, one) for one in EndReason if one is not EndReason.LEFT)],
)
async def test_what_says_nothing_is_not_learned(length_s: float, reason: EndReason) -> None:
    place = Place()
    await place.talk(ANA, BOB, length_s, reason)
    await place.sessions.encode_waiting()
    assert place.encoder.asked == [] and place.known(ANA) is None


async def test_a_proposal_and_a_match_of_another_replica_teach_nothing() -> None:
    place = Place()
    match = place.begin(ANA, BOB)
    await place.clock.advance(60)
    asked = replace(match, accept_until=place.clock.now())
    place.sessions.ended(asked, EndReason.LEFT, place.clock.now())
    place.sessions.ended(match, EndReason.LEFT, place.clock.now())  # again: it is unknown now
    await place.sessions.encode_waiting()
    assert place.encoder.asked == []


async def test_many_go_together_and_nobody_twice_in_a_request() -> None:
    place = Place()
    for number in range(0, 160, 2):
        await place.talk(TICKETS[number], TICKETS[number + 1], 10.0)
    for _ in range(MAX_TALKS + 3):
        await place.talk(ANA, BOB, 10.0)
    await place.sessions.encode_waiting()
    assert place.encoder.asked == [MAX_QUESTIONS, MAX_QUESTIONS, 32 + 2]
    assert place.counts.fates["encoded"] == 160 + 2 * (MAX_TALKS + 3)


async def test_an_encoder_that_is_away_leaves_the_old_vector_which_grows_stale() -> None:
    place = Place()
    await place.talk(ANA, BOB)
    await place.sessions.encode_waiting()
    old = place.known(ANA)
    place.encoder.error = unavailable("gone")
    await place.talk(ANA, CYD)
    with pytest.raises(Unavailable):
        await place.sessions.encode_waiting()
    await place.clock.advance(16.0)
    assert place.known(ANA) is old
    assert place.sessions.staleness_s(ANA.user_id) == 16.0
    assert place.sessions.staleness_s(BOB.user_id) == 0.0
    assert place.sessions.staleness_s(CYD.user_id) == 16.0
    assert place.sessions.staleness_s(TICKETS[9].user_id) is None
    place.begin(ANA, TICKETS[9])
    assert place.counts.stale == [0.0, 16.0], "first with Cyd, then with a stranger"
    place.encoder.error = None
    await place.talk(ANA, BOB)
    await place.sessions.encode_waiting()
    assert place.counts.failures == ["INFERENCE_UNAVAILABLE"]
    assert place.sessions.staleness_s(ANA.user_id) == 0.0
    expected = None
    for partner, at in ((BOB, 120.0), (CYD, 240.0), (BOB, 376.0)):
        expected = absorbed(expected, partner.wish.interests, TALK_S, at)
    assert expected is not None
    recent = place.known(ANA)
    np.testing.assert_allclose(
        recent.whole.astype(float) * recent.step, expected.direction, atol=0.51 * recent.step
    )


async def test_too_many_talks_shed_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MOST_WAITING", 4)
    place = Place()
    await place.talk(ANA, BOB)
    await place.talk(ANA, CYD)
    await place.talk(TICKETS[4], TICKETS[5])
    assert place.counts.fates == {"shed": 2} and place.counts.now == (0, 4)
    await place.sessions.encode_waiting()
    assert place.counts.fates["encoded"] == 4 and place.known(BOB) is None
    vector = absorbed(None, CYD.wish.interests, TALK_S, 240.0)
    assert vector is not None and place.known(ANA).usual_log == vector.usual_log


async def test_what_is_no_session_is_dropped_not_asked_for_ever() -> None:
    place = Place()
    place.encoder.error = InvalidRequest("no session", field="partner")
    await place.talk(ANA, BOB)
    await place.sessions.encode_waiting()
    assert place.counts.fates == {"refused": 2} and place.sessions.staleness_s("ana") is None


async def test_who_is_erased_is_forgotten_also_while_being_encoded() -> None:
    place = Place()
    await place.talk(ANA, BOB)
    await place.sessions.encode_waiting()
    await place.talk(ANA, CYD)
    place.begin(ANA, BOB)
    await place.sessions.forget(ANA.user_id)
    assert place.known(ANA) is None and place.sessions.staleness_s(ANA.user_id) is None
    place.encoder.during = lambda: place.sessions.forget(CYD.user_id)
    await place.sessions.encode_waiting()
    assert place.known(CYD) is None and place.known(BOB) is not None


async def test_vectors_have_a_horizon_and_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place()
    await place.talk(ANA, BOB)
    await place.sessions.encode_waiting()
    await place.clock.advance(HORIZON_S + 1)
    assert place.known(ANA) is None
    monkeypatch.setattr(module, "MOST_KNOWN", 2)
    monkeypatch.setattr(module, "MOST_LIVE", 1)
    lost = place.begin(TICKETS[6], TICKETS[7])
    await place.talk(CYD, TICKETS[5])
    place.sessions.ended(lost, EndReason.LEFT, place.clock.now())
    await place.sessions.encode_waiting()
    assert place.counts.fates["encoded"] == 4 and place.known(CYD) is not None
    assert place.sessions.staleness_s(ANA.user_id) is None


async def test_a_new_space_begins_anew() -> None:
    place = Place()
    space = Space("other", "2", 8, Encoding.INT8, 1.0)
    interests: Interests = read_interests(space, bytes(range(1, 9)))
    moved = replace(CYD, wish=replace(CYD.wish, interests=interests))
    await place.talk(ANA, BOB)
    await place.talk(ANA, moved)
    await place.sessions.encode_waiting()
    assert place.encoder.asked == [3, 1]
    assert place.known(ANA).space == space


@asynccontextmanager
async def running(place: Place) -> AsyncIterator[Callable[[Callable[[], bool]], Any]]:
    """Its loops run; gives a way to let time pass until something holds."""
    task = asyncio.create_task(place.sessions.run())

    async def until(holds: Callable[[], bool]) -> None:
        for _ in range(400):
            if holds():
                return
            await place.clock.advance(RETRY_S)
            await asyncio.sleep(0.002)
        assert holds()

    yield until
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_it_runs_and_comes_back_after_a_loss() -> None:
    place = Place()
    async with running(place) as until:
        place.encoder.error = unavailable("gone")
        await place.talk(ANA, BOB)
        await until(lambda: bool(place.counts.failures))
        assert place.counts.now[1] == 2
        place.encoder.error = None
        await until(lambda: place.counts.now == (2, 0))
        assert place.known(ANA) is not None
        await until(lambda: True)
        await place.clock.advance(HORIZON_S)
        await until(lambda: place.counts.now == (0, 0))
        assert place.sessions.staleness_s(ANA.user_id) is None


@pytest.fixture
async def shelf() -> AsyncIterator[SqlSessionShelf]:
    async with temporary_store(TABLES, ManualClock()) as store:
        yield SqlSessionShelf(store)


async def test_another_replica_goes_on_where_one_stopped(shelf: SqlSessionShelf) -> None:
    clock = ManualClock()
    here, there = Place(clock, shelf=shelf), Place(clock, shelf=shelf)
    await here.talk(ANA, BOB)
    await here.sessions.encode_waiting()
    async with running(there) as until:
        await until(lambda: there.counts.now[0] == 2)
        assert there.known(ANA).steps == here.known(ANA).steps
        await here.talk(ANA, CYD)
        await here.sessions.encode_waiting()
        there.sessions.taken_over()
        await until(lambda: there.counts.now[0] == 3)
        assert there.known(ANA).steps == here.known(ANA).steps
    await here.talk(BOB, CYD)
    await here.sessions.encode_waiting()
    await there.talk(BOB, TICKETS[7])  # it was not told, and looks
    await there.sessions.encode_waiting()
    heard = (await shelf.of([BOB.user_id]))[BOB.user_id]
    assert heard.talks > 2.5 and there.known(BOB).usual_log == heard.usual_log


async def test_old_ones_leave_the_shelf_and_the_erased_at_once(shelf: SqlSessionShelf) -> None:
    place = Place(shelf=shelf)
    await place.talk(ANA, BOB)
    await place.sessions.encode_waiting()
    await place.sessions.forget(ANA.user_id)
    assert set(await shelf.newest(9, 0.0)) == {BOB.user_id}
    async with running(place) as until:
        await until(lambda: place.counts.now == (1, 0))
        await place.clock.advance(HORIZON_S + TIDY_S)
        await until(lambda: place.counts.now == (0, 0))
    assert await shelf.newest(9, 0.0) == {}


class NoShelf:
    """Implements SessionShelf: the store is away."""

    async def keep(self, vectors: object) -> None:
        raise StoreUnavailable("gone")

    async def of(self, users: object) -> dict[str, SessionVector]:
        raise StoreUnavailable("gone")

    async def newest(self, most: int, since_s: float) -> dict[str, SessionVector]:
        raise StoreUnavailable("gone")

    async def forget(self, user_id: str) -> None:
        raise StoreUnavailable("gone")

    async def forget_before(self, since_s: float) -> None:
        raise StoreUnavailable("gone")


async def test_with_the_store_away_memory_goes_on_and_an_erasure_is_not_done() -> None:
    place = Place(shelf=NoShelf())
    async with running(place) as until:
        await place.talk(ANA, BOB)
        await until(lambda: place.counts.now == (2, 0))
        assert place.known(ANA) is not None
        before = len(place.counts.failures)
        await place.clock.advance(TIDY_S)
        await until(lambda: len(place.counts.failures) > before)
    with pytest.raises(StoreUnavailable):
        await place.sessions.forget(ANA.user_id)
    assert place.known(ANA) is None


async def test_a_desk_teaches_and_uses_it(scene: Any) -> None:
    """Ana and Bob meet, talk and part; the next wave knows, and linear-1 decides as before."""
    place = Place(clock=scene.clock)
    scene.desk = replace(scene.desk, sessions=place.sessions)
    told = await scene.matched()
    await scene.clock.advance(25.0)
    await end_match(scene.desk, "ana", told.match.match_id, EndReason.LEFT)
    await place.sessions.encode_waiting()
    assert place.counts.fates == {"encoded": 2}
    await scene.clock.advance(timedelta(minutes=11).total_seconds())
    await scene.person("ana")
    await scene.person("bob")
    await run_wave(scene.desk)
    match = scene.desk.hall.meetings.of_user("ana")
    assert match is not None and place.counts.stale == [0.0, 0.0]
    await close_match(scene.desk, match, EndReason.POLICY)
    await place.sessions.encode_waiting()
    assert place.counts.fates == {"encoded": 2}
