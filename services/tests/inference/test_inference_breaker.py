"""The breaker: its states as a rule-based machine, and its single steps."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inyeon.inference.breaker import THRESHOLD, Breaker, State
from inyeon.runtime.clock import ManualClock

pytestmark = pytest.mark.unit

RETRY_S = 1.0


class BreakerMachine(RuleBasedStateMachine):
    """Against a model: how many failures in a row, when it opened, whether a trial is under way."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.breaker = Breaker(self.clock, retry_s=RETRY_S)
        self.failures = 0
        self.opened_at: float | None = None
        self.trial = False

    @rule(duration_s=st.sampled_from([0.1, 0.5, 1.0, 3.0]))
    def time_passes(self, duration_s: float) -> None:
        asyncio.run(self.clock.advance(duration_s))

    @rule()
    def somebody_asks(self) -> None:
        allowed = self.breaker.allow()
        match self.expected():
            case State.CLOSED:
                assert allowed
            case State.OPEN:
                assert not allowed
            case State.HALF_OPEN:
                assert allowed is not self.trial
                self.trial = True

    @rule()
    def an_answer_comes(self) -> None:
        self.breaker.succeeded()
        self.failures, self.opened_at, self.trial = 0, None, False

    @rule()
    def no_answer_comes(self) -> None:
        self.breaker.failed()
        self.failures += 1
        if self.failures >= THRESHOLD or self.opened_at is not None:
            self.opens()

    @rule()
    def a_probe_is_lost(self) -> None:
        self.breaker.trip()
        self.opens()

    @precondition(lambda self: self.trial)
    @rule()
    def the_trial_is_abandoned(self) -> None:
        self.breaker.abandoned()
        self.trial = False

    @invariant()
    def states_agree(self) -> None:
        assert self.breaker.state is self.expected()

    def opens(self) -> None:
        self.failures = max(self.failures, THRESHOLD)
        self.opened_at, self.trial = self.clock.monotonic(), False

    def expected(self) -> State:
        if self.opened_at is None:
            return State.CLOSED
        waited = self.clock.monotonic() - self.opened_at >= RETRY_S
        return State.HALF_OPEN if waited else State.OPEN


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_one_failure_is_a_network_and_three_are_a_server() -> None:
    breaker = Breaker(ManualClock(), retry_s=RETRY_S)
    for _ in range(THRESHOLD - 1):
        breaker.failed()
        assert breaker.allow()
    breaker.failed()
    assert not breaker.allow()


async def test_a_failed_trial_waits_again_for_the_whole_time() -> None:
    clock = ManualClock()
    breaker = Breaker(clock, retry_s=RETRY_S)
    breaker.trip()
    await clock.advance(RETRY_S)
    assert breaker.allow()
    assert not breaker.allow()
    breaker.failed()
    await clock.advance(RETRY_S * 0.9)
    assert breaker.state is State.OPEN
