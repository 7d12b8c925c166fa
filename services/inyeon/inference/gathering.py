"""Questions of one turn of the loop go to a model as one: a request costs more than its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass
class _Together(Generic[Q, A]):
    questions: list[Q] = field(default_factory=list)
    budgets_s: list[float] = field(default_factory=list)
    answers: list[asyncio.Future[A]] = field(default_factory=list)


class Gathering(Generic[Q, A]):
    """`ask` takes up to `most` questions and the seconds of the shortest budget, and returns their
    answers in order. What it raises, everybody who asked together is told."""

    def __init__(
        self, ask: Callable[[Sequence[Q], float], Awaitable[Sequence[A]]], most: int
    ) -> None:
        self._ask = ask
        self._most = most
        self._open: _Together[Q, A] | None = None
        self._asking: set[asyncio.Task[None]] = set()

    async def one(self, question: Q, budget_s: float) -> A:
        """The answer to one question. Who stops waiting takes nothing from the others."""
        together = self._open
        if together is None or len(together.questions) >= self._most:
            together = self._open = _Together()
            task = asyncio.create_task(self._run(together))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        together.questions.append(question)
        together.budgets_s.append(budget_s)
        together.answers.append(answer)
        return await answer

    async def close(self) -> None:
        """Ends what is under way; who waits is cancelled."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    async def _run(self, together: _Together[Q, A]) -> None:
        await asyncio.sleep(0)  # whoever is ready in this turn comes along
        if self._open is together:
            self._open = None
        waiting = together.answers
        try:
            if not all(answer.done() for answer in waiting):
                answers = await self._ask(together.questions, min(together.budgets_s))
                for waits, answer in zip(waiting, answers, strict=True):
                    if not waits.done():
                        waits.set_result(answer)
        except Exception as error:
            for waits in waiting:
                if not waits.done():
                    waits.set_exception(error)
        finally:
            for waits in waiting:
                waits.cancel()
