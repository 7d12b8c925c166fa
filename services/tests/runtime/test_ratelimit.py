"""Token buckets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.runtime.clock import ManualClock
from inyeon.runtime.errors import Overloaded
from inyeon.runtime.ratelimit import Rate, RateLimiter

pytestmark = pytest.mark.unit

RATE = Rate(per_s=2, burst=3)


async def test_a_burst_then_the_rate() -> None:
    clock = ManualClock()
    limiter = RateLimiter(clock)
    for _ in range(3):
        limiter.take("u1", "m", RATE)
    with pytest.raises(Overloaded) as caught:
        limiter.take("u1", "m", RATE)
    assert caught.value.reason == "RATE_LIMITED"
    assert caught.value.retry_after_s == pytest.approx(0.5)
    limiter.take("u2", "m", RATE)
    limiter.take("u1", "other", RATE)
    await clock.advance(0.5)
    limiter.take("u1", "m", RATE)
    with pytest.raises(Overloaded):
        limiter.take("u1", "m", RATE)


def test_only_so_many_callers_are_remembered() -> None:
    limiter = RateLimiter(ManualClock(), remembered=2)
    for caller in ("a", "b", "c"):
        limiter.take(caller, "m", Rate(1, 1))
    limiter.take("a", "m", Rate(1, 1))
    with pytest.raises(Overloaded):
        limiter.take("c", "m", Rate(1, 1))


@given(pauses=st.lists(st.floats(0, 3), max_size=60))
async def test_never_more_than_burst_and_rate(pauses: list[float]) -> None:
    clock = ManualClock()
    limiter = RateLimiter(clock)
    taken, elapsed_s = 0, 0.0
    for pause_s in pauses:
        await clock.advance(pause_s)
        elapsed_s += pause_s
        try:
            limiter.take("u", "m", RATE)
        except Overloaded as refusal:
            assert 0 < refusal.retry_after_s <= 1 / RATE.per_s
        else:
            taken += 1
    assert taken <= RATE.burst + elapsed_s * RATE.per_s + 1e-6
