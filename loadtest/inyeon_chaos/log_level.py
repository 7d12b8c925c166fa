"""The log level: orders through store, outbox, relay, log and consumer, under faults.

async with LogLevel(folder, engines, seed=7) as level:
    await level.kill_someone()
    ...
    verdict = await level.verdict()
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from inyeon_chaos.children import Child
from inyeon_chaos.customers import RECOVERY_S, Customers, Watcher
from inyeon_chaos.effects import Applied, KeyState, Outcome, Tally, check, tally
from inyeon_chaos.engines import Engines
from inyeon_chaos.evidence import Breach
from inyeon_chaos.history import History, Kind
from inyeon_chaos.reading import read_rows
from inyeon_chaos.workload import BUGS, Bug, events_topic, states_topic

CUSTOMERS = 4  # some 12 orders a second together
LOOK_S = 0.2
BETWEEN_KILLS_S = (0.2, 1.2)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out."""

    tally: Tally
    breaches: list[Breach]
    kills: int
    crashes: int
    """Processes under test that ended by themselves: always a fault of ours."""


@dataclass(frozen=True, slots=True)
class Crew:
    """How many processes under test there are. A consumer group of the embedded log lives in one
    process, so there one of each."""

    producers: int = 2
    consumers: int = 2


@dataclass
class LogLevel:
    """One run. Everything that it started ends with the block."""

    folder: Path
    engines: Engines
    seed: int
    crew: Crew = field(default_factory=Crew)
    customers_count: int = CUSTOMERS
    bugs: Collection[Bug] = ()
    kills: int = 0
    crashes: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.random = random.Random(self.seed)
        self.history = History(self.folder / "history.jsonl")
        self._run = uuid.uuid4().hex[:8]
        self._tasks: list[asyncio.Task[None]] = []
        self._expected_down: set[str] = set()
        self.producers: list[Child] = []
        self.customers = Customers(self.history, self.producers, self.seed)
        self.consumers: list[Child] = []

    @property
    def children(self) -> list[Child]:
        """All processes under test."""
        return [*self.producers, *self.consumers]

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _open(self) -> None:
        self.producers += [self._child("producer", n) for n in range(self.crew.producers)]
        self.consumers += [self._child("consumer", n) for n in range(self.crew.consumers)]
        for child in self.children:  # one after the other: the first of each makes the tables
            await child.start()
        self.watcher = Watcher(self.history, self.customers, self.engines.database("consumer"))
        self._shopping = asyncio.create_task(self.customers.run(self.customers_count))
        self._tasks = [asyncio.create_task(self.watcher.run()), asyncio.create_task(self._nurse())]

    async def __aexit__(self, *_: object) -> None:
        shopping = getattr(self, "_shopping", None)
        tasks = [*self._tasks, *([shopping] if shopping is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for child in self.children:
            await child.kill()
        self.history.__exit__()

    async def kill(self, victim: Child) -> None:
        """SIGKILL for this process, and starts it again."""
        async with self.down(victim):
            self._note_kill(victim)
            await victim.kill()

    async def kill_many(self, count: int) -> None:
        """So many SIGKILLs at random moments, never the last ready process of a role."""
        starting: set[asyncio.Task[None]] = set()
        try:
            for _ in range(count):
                await asyncio.sleep(self.random.uniform(*BETWEEN_KILLS_S))
                victim = await self._victim()
                victim.ready.clear()
                starting.add(asyncio.create_task(self.kill(victim)))
            await asyncio.gather(*starting)
        finally:
            for task in starting:
                task.cancel()

    async def _victim(self) -> Child:
        while True:
            ready = [
                [one for one in role if one.ready.is_set() and one.running]
                for role in (self.producers, self.consumers)
            ]
            free = [one for role in ready if len(role) > 1 for one in role]
            if free:
                return self.random.choice(free)
            await asyncio.sleep(LOOK_S)

    def _note_kill(self, victim: Child) -> None:
        self.history.add(Kind.FAULT, "kill", target=victim.name)
        self.kills += 1

    @asynccontextmanager
    async def down(self, child: Child) -> AsyncIterator[None]:
        """The process may end within the block; after it, it runs again."""
        self._expected_down.add(child.name)
        try:
            yield
            if not child.running:
                await child.start()
        finally:
            self._expected_down.discard(child.name)

    async def fault(
        self, what: str, make: Callable[[], Awaitable[object]], *, from_its_end: bool = False
    ) -> float:
        """Makes a fault and waits until every key works again, maybe while it still lasts; seconds
        from its beginning, or from its end where nothing can work before. Raises TimeoutError after
        RECOVERY_S."""
        since_s = self.history.add(Kind.FAULT, what).at_s
        if from_its_end:
            await make()
            since_s = self.history.add(Kind.FAULT, f"end of {what}").at_s
            return await self.watcher.recovery(since_s, what)
        async with asyncio.TaskGroup() as group:
            group.create_task(_made(make))
            recovery = group.create_task(self.watcher.recovery(since_s, what))
        return recovery.result()

    async def settle(self, seconds: float) -> None:
        """Lets the run go on undisturbed for a while."""
        await asyncio.sleep(seconds)

    async def verdict(self, within_s: float = RECOVERY_S) -> Verdict:
        """Ends the orders, waits for their effects as long as a recovery may take, and checks."""
        self.customers.close()
        await self._shopping
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.watcher.everything()
        await self._quiet()
        outcome = await self._outcome()
        return Verdict(tally(outcome), check(outcome), self.kills, self.crashes)

    async def _quiet(self) -> None:
        """Until the outbox is empty and the journal has stopped growing."""
        before, end = -1, time.monotonic() + 30.0  # a lease of 10 s and two looks
        while time.monotonic() < end:
            count = len(await self._rows("consumer", "SELECT seq FROM journal"))
            states = await self._rows("consumer", "SELECT version FROM states ORDER BY key")
            now = hash((count, tuple(int(str(row["version"])) for row in states)))
            waiting = await self._rows("producer", "SELECT id FROM outbox LIMIT 1")
            if now == before and not waiting:
                return
            before = now
            await asyncio.sleep(1.0)

    async def _outcome(self) -> Outcome:
        journal = await self._rows("consumer", "SELECT * FROM journal ORDER BY seq")
        return Outcome(
            self.history.entries,
            await self.engines.records([events_topic(self._run)]),
            await self.engines.records([states_topic(self._run)]),
            [
                Applied(
                    str(row["order_id"]),
                    str(row["key"]),
                    int(str(row["amount"])),
                    int(str(row["version"])),
                )
                for row in journal
            ],
            await self._held(),
        )

    async def _held(self) -> dict[str, KeyState]:
        balances = await self._rows("consumer", "SELECT * FROM balances")
        states = await self._rows("consumer", "SELECT * FROM states")
        balance = {str(row["key"]): int(str(row["balance"])) for row in balances}
        said = {
            str(row["key"]): (int(str(row["version"])), int(str(row["total"]))) for row in states
        }
        keys = balance.keys() | said.keys()
        return {key: KeyState(balance.get(key, 0), *said.get(key, (0, 0))) for key in keys}

    async def _rows(self, service: str, statement: str) -> list[dict[str, object]]:
        return [dict(row) for row in await read_rows(self.engines.database(service), statement)]

    async def _nurse(self) -> None:
        """Starts again what ended by itself, and counts it."""
        while True:
            for child in self.children:
                if not child.running and child.name not in self._expected_down:
                    self.crashes += 1
                    self.history.add(Kind.FAULT, "crash", target=child.name, said=child.tail())
                    await child.launch()
            await asyncio.sleep(LOOK_S)

    def _child(self, role: str, number: int) -> Child:
        name = f"{role}-{number}"
        argv = [sys.executable, "-m", "inyeon_chaos.workload", role, self._run, name]
        output = self.folder / f"{name}.log"
        here = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
        bugs = ",".join(bug.value for bug in self.bugs)
        environment = {"PYTHONPATH": path, BUGS: bugs, **self.engines.environment}
        return Child(name, argv, environment, output, self.customers.heard)


async def _made(make: Callable[[], Awaitable[object]]) -> None:
    await make()
