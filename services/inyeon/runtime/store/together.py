"""What many ask of the store at the same time, as one transaction at a time.

While one batch is under way the next one gathers, so a lone question waits for nothing and a
hundred share their statements and their commit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class Together(Generic[Q, A]):
    """`do` takes up to `most` questions and returns their answers in order. What it raises,
    everybody who asked together is told. `gap_s` lies between the starts of two batches of one
    rush. One event loop owns it."""

    def __init__(
        self,
        do: Callable[[Sequence[Q]], Awaitable[Sequence[A]]],
        most: int,
        gap_s: float = 0.0,
    ) -> None:
        self._do = do
        self._gap_s = gap_s
        self._most = most
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._run: asyncio.Task[None] | None = None

    async def one(self, question: Q) -> A:
        """The answer to one question. Who stops waiting takes nothing from the others; their own
        question may be done all the same."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._run is None:
            self._run = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                began_s = time.monotonic()
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._answer(batch)
                if self._gap_s:
                    # Also after the last one: who asks within it is the next of the same rush.
                    await asyncio.sleep(max(0.0, began_s + self._gap_s - time.monotonic()))
        finally:
            self._run = None
            for _, left in self._waiting:  # only where this task was cancelled
                left.cancel()
            self._waiting = []

    async def _answer(self, batch: list[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._do([question for question, _ in batch])
            for (_, waits), answer in zip(batch, answers, strict=True):
                if not waits.done():
                    waits.set_result(answer)
        except Exception as error:
            for _, waits in batch:
                if not waits.done():
                    waits.set_exception(error)
        finally:
            for _, waits in batch:
                waits.cancel()  # nothing happens to those that have an answer
