"""Waiting for one of several, and waiting no longer than allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from inyeon_edge.errors import StreamBroken

T = TypeVar("T")


async def first_of(*coroutines: Coroutine[Any, Any, T]) -> T:
    """Result, or exception, of the one that ends first; all others are cancelled and awaited."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return next(task for task in tasks if task in done).result()


@asynccontextmanager
async def deadline(limit_s: float, what: str) -> AsyncIterator[None]:
    """Turns a body that lasts longer than `limit_s` into StreamBroken with `what`."""
    try:
        async with asyncio.timeout(limit_s):
            yield
    except TimeoutError as error:
        raise StreamBroken(f"{what} within {limit_s:g} s") from error
