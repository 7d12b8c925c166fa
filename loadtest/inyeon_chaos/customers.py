"""The driver of the log level: customers who place orders, and a watcher who sees their effects."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from inyeon_chaos.children import Child
from inyeon_chaos.effects import Order
from inyeon_chaos.history import Field, History, Kind
from inyeon_chaos.reading import read_rows

KEYS = tuple(f"key-{number:02}" for number in range(12))  # in turn, two for each partition
ANSWER_S = 3.0  # a commit takes some 10 ms; after this the order goes to another producer
# Between two orders of a customer. Two cores that also run broker, database and proxies apply some
# 60 records a second; a run that keeps them busy would measure its backlog, not the recovery.
PAUSE_S = 0.3
AGAIN_S = 0.1  # until a producer is there
LOOK_S = 0.15  # how late the watcher may see an effect
LATE_ROWS = (
    500  # a lower number may be committed after a higher one, so the last ones are read again
)
RECOVERY_S = 180.0  # three times the bar: what takes longer has not recovered at all

_AWAY = (
    OSError,
    TimeoutError,
    sqlite3.OperationalError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)


class Customers:
    """Places orders with whichever producer answers, again and again until one is accepted."""

    def __init__(self, history: History, producers: Sequence[Child], seed: int) -> None:
        self._history = history
        self._producers = producers
        self._random = random.Random(seed)
        self._answers: dict[str, asyncio.Event] = {}
        self._closing = asyncio.Event()
        self._count = 0
        self.sent: dict[str, tuple[str, float]] = {}
        """Order -> its key and when it was first sent."""
        self.accepted: set[str] = set()

    def heard(self, message: dict[str, Any]) -> None:
        """A producer's answer."""
        answer = self._answers.get(str(message.get("done")))
        if answer is not None:
            answer.set()

    async def run(self, count: int, pause_s: float = PAUSE_S) -> None:
        """So many customers at once, until `close`; then each finishes the order that it has."""
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(self._customer(pause_s))

    def close(self) -> None:
        """No new orders."""
        self._closing.set()

    async def _customer(self, pause_s: float) -> None:
        while not self._closing.is_set():
            await self._place()
            await asyncio.sleep(pause_s * self._random.uniform(0.5, 1.5))

    async def _place(self) -> None:
        self._count += 1
        key = KEYS[self._count % len(KEYS)]
        order = Order(f"order-{self._count:07}", key, self._random.randint(1, 1_000))
        fields: dict[str, Field] = {"id": order.order_id, "key": order.key, "amount": order.amount}
        sent = self._history.add(Kind.SENT, "order", **fields)
        self.sent[order.order_id] = order.key, sent.at_s
        answer = self._answers[order.order_id] = asyncio.Event()
        while not await self._ask(fields, answer):
            pass
        del self._answers[order.order_id]
        self.accepted.add(order.order_id)
        self._history.add(Kind.ACCEPTED, "order", id=order.order_id)

    async def _ask(self, order: Mapping[str, Field], answer: asyncio.Event) -> bool:
        able = [one for one in self._producers if one.running and one.ready.is_set()]
        if not able or not self._random.choice(able).tell(order):
            await asyncio.sleep(AGAIN_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(answer.wait(), ANSWER_S)
        return answer.is_set()


class Watcher:
    """Looks into the consumer's database from outside."""

    def __init__(self, history: History, customers: Customers, where: Path | str) -> None:
        self._history = history
        self._customers = customers
        self._where = where
        self._seen: set[str] = set()
        self._newest: dict[str, float] = dict.fromkeys(KEYS, 0.0)
        self._last = 0

    async def run(self) -> None:
        """Notes effects until cancelled."""
        while True:
            with contextlib.suppress(*_AWAY):
                await self._look()
            await asyncio.sleep(LOOK_S)

    async def recovery(self, since_s: float, what: str) -> float:
        """Seconds from `since_s` until every key had an effect of an order sent after it. Raises
        TimeoutError."""
        await self._until(lambda: min(self._newest.values()) > since_s)
        took_s = time.time() - since_s
        self._history.add(Kind.RECOVERED, what, seconds=took_s)
        return took_s

    async def everything(self) -> None:
        """Every accepted order has been seen to have its effect. Raises TimeoutError."""
        await self._until(lambda: self._customers.accepted <= self._seen)

    @property
    def missing(self) -> int:
        """Accepted orders whose effect was not seen yet."""
        return len(self._customers.accepted - self._seen)

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(RECOVERY_S):
            while not holds():  # noqa: ASYNC110 - of a database that tells nobody
                await asyncio.sleep(LOOK_S / 3)

    async def _look(self) -> None:
        statement = f"SELECT seq, order_id FROM journal WHERE seq > {self._last - LATE_ROWS}"  # noqa: S608 - a number
        for row in await read_rows(self._where, statement):
            self._last = max(self._last, int(str(row["seq"])))
            self._note(str(row["order_id"]))

    def _note(self, order_id: str) -> None:
        if order_id in self._seen:
            return
        self._seen.add(order_id)
        self._history.add(Kind.TOLD, "effect", id=order_id)
        key, sent_s = self._customers.sent[order_id]
        self._newest[key] = max(self._newest[key], sent_s)
