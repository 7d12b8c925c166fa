"""The waiting pool as a state machine against a model in plain words."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inyeon.matching.domain.gates import Gate
from inyeon.matching.domain.matches import LiveMatch, Side
from inyeon.matching.domain.meetings import Meetings
from inyeon.matching.domain.people import Verdict
from inyeon.matching.domain.pool import AWAY_AFTER_S, SILENT_AFTER_S, Bar, Pool, Standing
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.tickets import Ticket
from inyeon.matching.domain.waves import WaveRules, decide
from inyeon.matching.workload import synthetic_waiters

pytestmark = pytest.mark.unit

PEOPLE = 6
BASE = [
    replace(waiter.ticket, wish=replace(waiter.ticket.wish, genders=frozenset()))
    for waiter in synthetic_waiters(PEOPLE, seed=2, minors=0.0)
]
COMMON = BASE[0].wish
users = st.integers(0, PEOPLE - 1)


@dataclass
class Known:
    """What the model knows of a waiting ticket."""

    ticket: Ticket
    heard: float
    absent: float | None = -math.inf
    pass_until: float = -math.inf


class PoolMachine(RuleBasedStateMachine):
    """Everything that can happen to a pool, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool()
        self.meetings = Meetings()
        self.now = 0.0
        self.made = 0
        self.ends: dict[str, str] = {}
        self.waiting: dict[int, Known] = {}
        self.verdicts: dict[int, Verdict] = {}
        self.sanctions: dict[int, float] = {}
        self.bars: dict[frozenset[int], float] = {}

    @rule(who=users)
    def add(self, who: int) -> None:
        if self.meetings.of_user(BASE[who].user_id) is not None:
            return
        self.made += 1
        wish = replace(COMMON, translation_welcome=True)
        ticket = replace(BASE[who], ticket_id=f"t{self.made}", wish=wish)
        standing = Standing(
            self.verdicts.get(who, Verdict.NONE), self.sanctions.get(who, -math.inf)
        )
        bars = [
            Bar(BASE[other].user_id, until)
            for pair, until in self.bars.items()
            if who in pair
            for other in pair - {who}
        ]
        added = self.pool.add(ticket, self.now, self.now, standing, bars)
        assert added == (who not in self.waiting)
        if added:
            self.waiting[who] = Known(ticket, self.now)

    @rule(who=users, present=st.booleans(), life=st.sampled_from([0.0, 30.0]))
    def beat(self, who: int, present: bool, life: float) -> None:
        self.pool.heartbeat(BASE[who].user_id, self.now, present, self.now + life)
        known = self.waiting.get(who)
        if known:
            known.heard, known.pass_until = self.now, self.now + life
            if present:
                known.absent = None
            elif known.absent is None:
                known.absent = self.now

    @rule(who=users)
    def break_stream(self, who: int) -> None:
        self.pool.lose_sight(BASE[who].user_id, self.now)
        known = self.waiting.get(who)
        if known and known.absent is None:
            known.absent = self.now

    @rule(who=users, verdict=st.sampled_from(Verdict))
    def judge(self, who: int, verdict: Verdict) -> None:
        self.verdicts[who] = verdict
        self.pool.judge(BASE[who].user_id, verdict)

    @rule(who=users, life=st.sampled_from([-1.0, 5.0]))
    def sanction(self, who: int, life: float) -> None:
        self.sanctions[who] = self.now + life
        self.pool.sanction(BASE[who].user_id, self.now + life)

    @rule(one=users, other=users, life=st.sampled_from([5.0, math.inf]))
    def bar(self, one: int, other: int, life: float) -> None:
        if one != other:
            pair, until = frozenset({one, other}), self.now + life
            self.bars[pair] = max(until, self.bars.get(pair, -math.inf))
            self.pool.bar(BASE[one].user_id, BASE[other].user_id, until)

    @rule(who=users)
    def cancel(self, who: int) -> None:
        known = self.waiting.get(who)
        removed = self.pool.remove(known.ticket.ticket_id if known else "?", BASE[who].user_id)
        assert removed == (known is not None)
        if known:
            self._end(who, "CANCELLED")

    @rule(step=st.sampled_from([0.5, 4.0, 11.0, 31.0]))
    def time_goes_on(self, step: float) -> None:
        self.now += step

    @rule()
    def tick(self) -> None:
        changes = self.pool.tick(self.now)
        silent = {t.ticket_id for t in changes.silent}
        expected = {
            known.ticket.ticket_id
            for known in self.waiting.values()
            if known.heard + SILENT_AFTER_S <= self.now
        }
        assert silent == expected
        for who, known in list(self.waiting.items()):
            look = self.pool.look(BASE[who].user_id, self.now)
            assert look.gate is self._gate(who, known)
            assert look.paused == self._stands_still(look.gate, known)
            if known.ticket.ticket_id in silent:
                assert self.pool.remove(known.ticket.ticket_id, BASE[who].user_id)
                self._end(who, "EXPIRED")

    @precondition(lambda self: len(self.waiting) > 1)
    @rule(seed=st.integers(0, 5))
    def wave(self, seed: int) -> None:
        rules = WaveRules(Patience(start=0.0))
        decided = decide(self.pool.snapshot(self.now), rules, seed)
        number = {ticket.user_id: who for who, ticket in enumerate(BASE)}
        for pair in decided.pairs:
            tickets = [decided.snapshot.tickets[place] for place in (pair.one, pair.other)]
            people = [number[ticket.user_id] for ticket in tickets]
            for who in people:
                assert self._gate(who, self.waiting[who]) is Gate.OPEN
            assert self.bars.get(frozenset(people), -math.inf) <= self.now
            one, other = (Side(ticket.user_id, (), "", 0.0) for ticket in tickets)
            self.made += 1
            at = datetime(2026, 1, 1, tzinfo=UTC)
            self.meetings.begin(LiveMatch(f"m{self.made}", "main", one, other, at, ()), self.now)
            for who, ticket in zip(people, tickets, strict=True):
                assert self.pool.remove(ticket.ticket_id, ticket.user_id)
                self._end(who, "MATCHED")

    @rule(who=users)
    def leave_match(self, who: int) -> None:
        match = self.meetings.of_user(BASE[who].user_id)
        if match:
            assert self.meetings.end(match.match_id)

    @invariant()
    def each_user_is_in_one_place(self) -> None:
        for who, ticket in enumerate(BASE):
            known = self.waiting.get(who)
            assert self.pool.of_user(ticket.user_id) is (known.ticket if known else None)
            assert not (known and self.meetings.of_user(ticket.user_id))
        assert len(self.pool) == len(self.waiting)

    @invariant()
    def nobody_waits_less_than_nothing(self) -> None:
        for look in self.pool.looks(self.now):
            assert 0.0 <= look.waited_s <= self.now

    def _end(self, who: int, end: str) -> None:
        ticket_id = self.waiting.pop(who).ticket.ticket_id
        assert ticket_id not in self.ends
        self.ends[ticket_id] = end

    def _gate(self, who: int, known: Known) -> Gate:
        if self.sanctions.get(who, -math.inf) > self.now:
            return Gate.SANCTION
        if self.verdicts.get(who) in (Verdict.UNSURE, Verdict.PROTECT):
            return Gate.NOT_CLEAR
        if known.absent is not None:
            return Gate.AWAY
        return Gate.OPEN if known.pass_until > self.now else Gate.SAFETY_PASS

    def _stands_still(self, gate: Gate, known: Known) -> bool:
        if gate is Gate.AWAY:
            assert known.absent is not None
            return self.now - known.absent >= AWAY_AFTER_S
        return gate is not Gate.OPEN


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
