"""Calls into a library that blocks, with an end: the caller never waits longer than it said."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from inyeon.runtime.errors import LogUnavailable

T = TypeVar("T")


async def blocking(what: str, call: Callable[[], T], timeout_s: float) -> T:
    """Runs `call` in a thread of its own. Raises LogUnavailable after `timeout_s`; the thread then
    ends whenever the library lets it, and keeps neither a pool nor the process waiting."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(resolve: Callable[..., None], outcome: object) -> None:
        if not done.done():
            resolve(outcome)

    def run() -> None:
        resolve: Callable[..., None] = done.set_result
        try:
            outcome: object = call()
        except Exception as error:
            resolve, outcome = done.set_exception, error
        with suppress(RuntimeError):  # the loop has ended, nobody waits any more
            loop.call_soon_threadsafe(tell, resolve, outcome)

    threading.Thread(target=run, name=f"kafka-{what}", daemon=True).start()
    try:
        async with asyncio.timeout(timeout_s):
            return await done
    except TimeoutError:
        raise LogUnavailable(f"{what} took longer than {timeout_s:g} s") from None
