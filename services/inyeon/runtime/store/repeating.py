"""Doing a whole transaction again where the database chose another one over it."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from inyeon.runtime.errors import StoreConflict

ATTEMPTS = (
    4  # of two that waited for each other one goes through, so the second attempt does as well
)
# PostgreSQL takes 1 s to see that two wait for each other, so four attempts are at most 4 s of the
# caller's 10.
LONGEST_PAUSE_S = 0.05  # random, so that the same two do not meet again

P = ParamSpec("P")
T = TypeVar("T")


def repeating(
    transaction: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """For a function that is one transaction and touches nothing outside it: repeats it on
    StoreConflict, four times in all. Other errors pass, an unknown outcome too."""

    @functools.wraps(transaction)
    async def repeated(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return await transaction(*args, **kwargs)
            except StoreConflict:
                await asyncio.sleep(random.uniform(0.0, LONGEST_PAUSE_S))  # noqa: S311
        return await transaction(*args, **kwargs)

    return repeated
