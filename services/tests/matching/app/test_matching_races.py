"""Everything that can happen to people in any order, two things at once, on the real book.

Two replicas share one book and one log; one owns the pool. What must hold after every step: a user
is in one live match at most, the hall of the owner says what the book says, nobody who cancelled or
is sanctioned meets, no blocked pair lives, and nobody loses waiting time by another's fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from inyeon.matching.adapters.book import SqlBook
from inyeon.matching.adapters.metrics import PrometheusMeter
from inyeon.matching.adapters.tables import TABLES, live_users
from inyeon.matching.adapters.ticket_log import LogTickets
from inyeon.matching.adapters.wire import ticket_from
from inyeon.matching.app.accept import accept, decline
from inyeon.matching.app.admit import admit
from inyeon.matching.app.apply import apply_edge, apply_sanction, apply_verdict
from inyeon.matching.app.cancel import cancel
from inyeon.matching.app.desk import Desk
from inyeon.matching.app.end_match import end_match, lose_matches
from inyeon.matching.app.hall import Hall
from inyeon.matching.app.heartbeat import heartbeat, leave
from inyeon.matching.app.owning import take_over
from inyeon.matching.app.ports import PassFacts, SignedPass
from inyeon.matching.app.renew import keep_tickets
from inyeon.matching.app.seek import seek
from inyeon.matching.app.wave import run_wave
from inyeon.matching.domain import news
from inyeon.matching.domain.matches import EndReason, LiveMatch
from inyeon.matching.domain.people import AgeBand, Attention, Gender, Person, Verdict
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.waves import WaveRules
from inyeon.matching.errors import PoolLost
from inyeon.matching.workload import synthetic_waiters
from inyeon.runtime.clock import ManualClock
from inyeon.runtime.log.envelope import decode, is_type
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.topics import TICKETS, all_specs
from inyeon.runtime.store.sql import temporary_store
from inyeon_protos.events.v1 import events_pb2

pytestmark = pytest.mark.unit

WISH = replace(
    next(iter(synthetic_waiters(1, 1))).ticket.wish, genders=frozenset(), countries=frozenset()
)
DEVICES = {"ana": "A", "bob": "B", "cid": "C", "dan": "D", "bob-too": "B"}
users = st.sampled_from(sorted(DEVICES))
people = st.tuples(users, users)
WITHIN = timedelta(seconds=15)


class AnyPass:
    """Every pass holds for 30 s: signatures are another test's."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def read(self, signed: SignedPass, at: Any) -> PassFacts:
        return PassFacts(signed.key_id, "", "1", at, at + timedelta(seconds=30))


class NoGrants:
    """Grants are not looked at here."""

    def sign(self, match: LiveMatch, user_id: str, at: Any) -> news.SignedGrant:
        return news.SignedGrant("k", user_id.encode(), b"")


class Ears:
    """What every device heard."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, news.News]] = []

    async def tell(self, user_id: str, told: news.News) -> bool:
        self.heard.append((user_id, told))
        await asyncio.sleep(0)  # as a real one does: others go on meanwhile
        return True


class Races(RuleBasedStateMachine):
    """The world; `owner` is the desk that owns the pool."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.clock = ManualClock()
        self.log = MemoryLog(self.clock)
        self.ears = Ears()
        self.made = 0
        self.version = 0
        self.out: set[str] = set()
        """Whose cancel was acknowledged and who has not asked since."""
        self.blocks: set[frozenset[str]] = set()
        self.barred_users: set[str] = set()
        """Sanctioned, or with PROTECT in force."""
        self.judged: set[str] = set()
        """Matches whose people were compared by device when they began."""
        self.accounts: set[str] = set()
        """Seen on their device by a ticket."""

    def do(self, work: Awaitable[Any]) -> Any:
        async def run() -> Any:
            return await work

        return self.runner.run(run())

    def new_id(self) -> str:
        self.made += 1
        return f"id-{self.made}"

    @initialize(asks=st.booleans())
    def begin(self, asks: bool) -> None:
        async def build() -> tuple[Desk, Any]:
            await self.log.create_topics(all_specs())
            store = await self.stack.enter_async_context(temporary_store(TABLES, self.clock))
            desk = Desk(
                book=SqlBook(store, timedelta(seconds=20), self.clock),
                tickets=LogTickets(self.log, "here", self.clock),
                teller=self.ears,
                passes=AnyPass(self.clock),
                grants=NoGrants(),
                meter=PrometheusMeter(CollectorRegistry(), "main"),
                clock=self.clock,
                rules=WaveRules(Patience(start=0.0)),
                pool="main",
                replica="here",
                new_id=self.new_id,
                max_waiting=100,
                accept_within=WITHIN if asks else timedelta(0),
                hash_device=lambda key: f"hash-{key}",
            )
            await take_over(desk, await desk.book.hold("main", "here", 0) or 0)
            return desk, store

        self.owner, self.store = self.do(build())
        self.former: Desk | None = None

    # -- what people and others do; each returns work to be awaited ---------------------------

    async def ask(self, user: str, _: str) -> None:
        await heartbeat(self.owner, user, "", True, SignedPass(user, b"", b""))
        self.out.discard(user)
        person = Person(user, AgeBand.ADULT, "US", Gender.OTHER)
        await seek(self.owner, person, WISH, "s", DEVICES[user])
        await self.arrive()
        if self.owner.hall.ticket_of(user):
            self.out.discard(user)
            self.accounts.add(user)

    async def arrive(self) -> None:
        await admit(self.owner, list(self.owner.hall.on_the_way.values()))

    async def call_off(self, user: str, _: str) -> None:
        begun = len(self.ears.heard)
        await cancel(self.owner, user)
        told = [one for who, one in self.ears.heard[begun:] if who == user]
        here = self.owner.hall.ticket_of(user) or self.owner.hall.meetings.of_user(user)
        if any(isinstance(one, news.Cancelled) for one in told) and not here:
            self.out.add(user)

    async def insist_on_calling_off(self, user: str, other: str) -> None:
        for _ in range(8):
            await self.call_off(user, other)
            await asyncio.sleep(0.002)  # the store takes its time, too

    async def wave(self, *_: str) -> None:
        await self.arrive()
        await run_wave(self.owner)

    async def end(self, user: str, other: str, reason: EndReason = EndReason.LEFT) -> None:
        match = self.owner.hall.meetings.of_user(user)
        if match is None:
            return
        asked, begun = not match.agreed, len(self.ears.heard)
        await end_match(self.owner, user, match.match_id, reason)
        told = [one for who, one in self.ears.heard[begun:] if who == user]
        mine = any(isinstance(one, news.MatchOver) and one.by_me for one in told)
        if mine and self.owner.hall.meetings.of_user(user) is not match:
            reported = reason is EndReason.REPORTED
            if reported:
                await self._owes(user, match.side(user).waited_s)
            elif asked:
                await self._owes(match.partner(user).user_id, match.partner(user).waited_s)

    async def report(self, user: str, other: str) -> None:
        await self.end(user, other, EndReason.REPORTED)

    async def fail(self, user: str, other: str) -> None:
        await self.end(user, other, EndReason.CONNECT_FAILED)

    async def say_yes(self, user: str, _: str) -> None:
        match = self.owner.hall.meetings.of_user(user)
        await accept(self.owner, user, match.match_id if match else "none")

    async def say_no(self, user: str, _: str) -> None:
        match = self.owner.hall.meetings.of_user(user)
        await decline(self.owner, user, match.match_id if match else "none")

    async def block(self, user: str, other: str) -> None:
        if user == other:
            return
        self.version += 1
        await apply_edge(self.owner, user, other, "BLOCK", self.version)
        self.blocks.add(frozenset((user, other)))

    async def punish(self, user: str, _: str) -> None:
        self.version += 1
        until = self.clock.now() + timedelta(hours=1)
        self.barred_users.add(user)
        await apply_sanction(self.owner, user, until, self.version)

    async def pardon(self, user: str, _: str) -> None:
        self.version += 1
        version = self.version
        self.barred_users.discard(user)
        await apply_sanction(self.owner, user, None, version)
        await apply_verdict(self.owner, user, Verdict.CLEAR, version)

    async def protect(self, user: str, _: str) -> None:
        self.version += 1
        self.barred_users.add(user)
        await apply_verdict(self.owner, user, Verdict.PROTECT, self.version)

    async def look_away(self, user: str, _: str) -> None:
        await heartbeat(self.owner, user, "", Attention.DISTRACTED, SignedPass(user, b"", b""))

    async def look_back(self, user: str, _: str) -> None:
        await heartbeat(self.owner, user, "", Attention.PRESENT, SignedPass(user, b"", b""))

    async def hang_up(self, user: str, _: str) -> None:
        await leave(self.owner, user)

    async def former_owner_pairs(self, *_: str) -> None:
        if self.former is not None:
            try:
                await run_wave(self.former)
            except PoolLost:
                self.former = None

    VERBS = (
        ask,
        ask,
        call_off,
        wave,
        wave,
        end,
        report,
        fail,
        say_yes,
        say_yes,
        say_no,
        block,
        punish,
        pardon,
        protect,
        look_away,
        look_back,
        hang_up,
        former_owner_pairs,
    )
    verbs = st.sampled_from(VERBS)

    @rule(verb=verbs, who=people)
    def happens(
        self, verb: Callable[[Any, str, str], Awaitable[None]], who: tuple[str, str]
    ) -> None:
        self.do(verb(self, *who))

    @rule(first=verbs, one=people, second=verbs, two=people)
    def happen_at_once(
        self,
        first: Callable[[Any, str, str], Awaitable[None]],
        one: tuple[str, str],
        second: Callable[[Any, str, str], Awaitable[None]],
        two: tuple[str, str],
    ) -> None:
        self.happen_at_once_to(first, one, second, two)

    def happen_at_once_to(
        self,
        first: Callable[[Any, str, str], Awaitable[None]],
        one: tuple[str, str],
        second: Callable[[Any, str, str], Awaitable[None]],
        two: tuple[str, str],
    ) -> None:
        async def both() -> None:
            await asyncio.gather(first(self, *one), second(self, *two))

        self.do(both())

    answers = st.sampled_from(
        (end, report, fail, say_yes, say_no, insist_on_calling_off, hang_up, protect)
    )

    @rule(first=answers, second=answers, place=st.integers(0, 2))
    def both_of_a_match_act_at_once(
        self,
        first: Callable[[Any, str, str], Awaitable[None]],
        second: Callable[[Any, str, str], Awaitable[None]],
        place: int,
    ) -> None:
        matches = list(self.owner.hall.meetings)
        if place < len(matches):
            one, other = matches[place].users
            self.happen_at_once_to(first, (one, other), second, (other, one))

    @rule(who=st.sets(users, min_size=2, max_size=4))
    def several_ask_and_a_wave_runs(self, who: set[str]) -> None:
        for user in sorted(who):
            self.do(self.ask(user, user))
            self.do(self.clock.advance(2.0))  # the first has waited longest
        self.do(self.wave())

    @rule(step_s=st.sampled_from([1.0, 9.0, 16.0, 31.0]), alive=st.sets(users))
    def time_goes_on(self, step_s: float, alive: set[str]) -> None:
        self.former = None  # within seconds it knows

        async def go() -> None:
            await self.clock.advance(step_s)
            for user in sorted(alive):
                await heartbeat(self.owner, user, "", True, SignedPass(user, b"", b""))
            await lose_matches(self.owner)

        self.do(go())

    @rule()
    def another_replica_takes_the_pool(self) -> None:
        async def move() -> None:
            await keep_tickets(self.owner)
            await self.clock.advance(5.0)
            name = "there" if self.owner.replica == "here" else "here"
            there = replace(self.owner, hall=Hall(), replica=name)
            await take_over(there, await there.book.hold("main", name, -1) or 0)
            assert there.hall.epoch
            await admit(there, await self._tickets())
            self.former, self.owner = self.owner, there

        self.do(move())

    async def _tickets(self) -> list[Any]:
        reader = await self.log.read_all([TICKETS])
        records = await reader.poll(10_000, 0.0)
        await reader.close()
        return [
            ticket_from(decode(one, events_pb2.TicketWaiting))
            for one in records
            if is_type(one, events_pb2.TicketWaiting)
        ]

    async def _owes(self, user: str, waited_s: float, allowed: bool = True) -> None:
        """The innocent has the waiting time back: as a ticket or as credit."""
        if not allowed or user in self.barred_users:
            return
        hall = self.owner.hall
        ticket = hall.ticket_of(user)
        credit = await self.owner.book.credit(user, self.clock.now())
        since = (self.clock.now() - ticket.created_at).total_seconds() if ticket else 0.0
        again = hall.meetings.of_user(user) is not None or user in self.out
        assert again or max(credit, since) >= waited_s - 1e-3

    # -- what must hold --------------------------------------------------------------------------

    @invariant()
    def the_book_keeps_every_promise(self) -> None:
        if not hasattr(self, "store"):
            return
        rows, matches = self.do(self._live())
        in_rows = dict(rows)
        assert len(in_rows) == len(rows)  # one live match a user
        in_matches = {user: match.match_id for match in matches for user in match.users}
        assert in_rows == in_matches
        for match in matches:
            self._check(match)
        here = {match.match_id for match in self.owner.hall.meetings}
        assert here == {match.match_id for match in matches}
        for user in DEVICES:
            assert not (self.owner.hall.pool.of_user(user) and user in in_rows)

    def _check(self, match: LiveMatch) -> None:
        one, other = match.users
        assert one != other and DEVICES[one] != DEVICES[other]
        assert frozenset((one, other)) not in self.blocks
        if match.match_id not in self.judged:  # who is seen on a device later parts nobody
            self.judged.add(match.match_id)
            for mine, theirs in product(self._twins(one), self._twins(other)):
                assert frozenset((mine, theirs)) not in self.blocks
        assert self.out.isdisjoint(match.users)
        assert self.barred_users.isdisjoint(match.users)

    def _twins(self, user: str) -> set[str]:
        return {user} | {one for one in self.accounts if DEVICES[one] == DEVICES[user]}

    async def _live(self) -> tuple[list[tuple[str, str]], list[LiveMatch]]:
        async with self.store.reading() as connection:
            found = await connection.execute(select(live_users.c.user_id, live_users.c.match_id))
            rows = [(user, match) for user, match in found]
        return rows, await self.owner.book.live_matches("main")

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()


TestRaces = Races.TestCase
TestRaces.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
