"""The caller's time."""

from __future__ import annotations

import asyncio

import pytest

from inyeon.runtime.deadlines import deadline, remaining_s
from inyeon.runtime.errors import DeadlineExceeded

pytestmark = pytest.mark.unit


async def test_without_a_caller_all_the_time_is_ours() -> None:
    assert remaining_s(3) == 3


async def test_what_remains_is_handed_on() -> None:
    async with deadline(10):
        assert 9 < remaining_s(60) <= 10
        assert remaining_s(1) == 1
        async with deadline(60):
            assert remaining_s(60) <= 10, "the nearer end counts"
    assert remaining_s(60) == 60


async def test_the_end_is_said_by_name() -> None:
    with pytest.raises(DeadlineExceeded):
        async with deadline(0.01):
            await asyncio.Event().wait()


async def test_somebody_elses_timeout_is_left_alone() -> None:
    with pytest.raises(TimeoutError):
        async with deadline(10):
            raise TimeoutError
