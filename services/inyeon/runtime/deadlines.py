"""The caller's time: how much of it is left for what we ask of others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from inyeon.runtime.errors import DeadlineExceeded

_ends_at: ContextVar[float | None] = ContextVar("inyeon_deadline", default=None)


def remaining_s(at_most_s: float) -> float:
    """Seconds for an onward call: what is left of the caller's time, never more than `at_most_s`.
    Outside a call: `at_most_s`.
    """
    ends_at = _ends_at.get()
    if ends_at is None:
        return at_most_s
    return max(0.0, min(at_most_s, ends_at - asyncio.get_running_loop().time()))


@asynccontextmanager
async def deadline(duration_s: float) -> AsyncIterator[None]:
    """Ends the block after `duration_s` with DeadlineExceeded; of two, the nearer counts."""
    duration_s = remaining_s(duration_s)
    token = _ends_at.set(asyncio.get_running_loop().time() + duration_s)
    limit = asyncio.timeout(duration_s)
    try:
        async with limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise DeadlineExceeded("the caller's time is over") from None
        raise
    finally:
        _ends_at.reset(token)
