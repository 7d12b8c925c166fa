"""Two may answer: the spare is asked when the first fails, or is slow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import InyeonError

WAIT_SHARE = 0.5  # of the budget: the spare then has as much time as the first had

T = TypeVar("T")


async def first_answer(
    first: Callable[[], Awaitable[T]],
    spare: Callable[[float], Awaitable[T]],
    budget_s: float,
    clock: Clock,
) -> T:
    """The first answer of either. Where neither answers, the error of `first`.

    `spare` is called with the seconds that are left. Whoever is not needed any more is cancelled.
    """
    ends_at = clock.monotonic() + budget_s
    tasks: list[asyncio.Future[T]] = [asyncio.ensure_future(first())]
    try:
        await asyncio.wait(tasks, timeout=budget_s * WAIT_SHARE)
        if not _answered(tasks[0]):
            tasks.append(asyncio.ensure_future(spare(ends_at - clock.monotonic())))
            await _until_answered(tasks)
        return _best(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until_answered(tasks: list[asyncio.Future[T]]) -> None:
    pending = {task for task in tasks if not task.done()}
    while pending and not any(_answered(task) for task in tasks):
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)


def _answered(task: asyncio.Future[T]) -> bool:
    if not task.done() or task.cancelled():
        return False
    error = task.exception()
    if error is not None and not isinstance(error, InyeonError):
        raise error  # a defect is nothing to hedge
    return error is None


def _best(tasks: list[asyncio.Future[T]]) -> T:
    for task in tasks:
        if _answered(task):
            return task.result()
    return tasks[0].result()
