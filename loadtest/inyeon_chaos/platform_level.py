"""The platform level: simulated people on real services and engines, under faults.

async with PlatformLevel(folder, engines, seed=7) as level:
    await level.kill(await level.platform.pool_owner())
    breaches = await level.breaches()
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from inyeon.runtime.log import topics
from inyeon_chaos import facts
from inyeon_chaos.evidence import Breach, Evidence
from inyeon_chaos.history import History, Kind
from inyeon_chaos.invariants import Rules, check
from inyeon_chaos.people import Channels, Person
from inyeon_chaos.platform import REPLICAS, STORES, Platform, ServiceProcess
from inyeon_chaos.reading import read_rows, table_names
from inyeon_chaos.stack_engines import StackEngines

PEOPLE = 10
RECOVERY_S = 90.0
LOOK_S = 0.05
CLOSING_S = 100.0  # a match that one ends, 60 s at worst, and both streams' last words
# Silent tickets expire after 30 s, silent matches after 30 s; outboxes drain in seconds. An owner
# that takes over gives everybody the same time anew.
QUIET_S = 90.0


@dataclass
class PlatformLevel:
    """One run. Everything that it started ends with the block."""

    folder: Path
    engines: StackEngines
    seed: int
    people_count: int = PEOPLE
    replicas: Mapping[str, int] = field(default_factory=lambda: REPLICAS)
    kills: int = 0
    crashes: int = 0
    """Processes that ended by themselves: always a fault of ours."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.history = History(self.folder / "history.jsonl")
        self.platform = Platform(self.folder, self.engines, self.replicas)
        self._stack = contextlib.AsyncExitStack()
        self.people: list[Person] = []
        self._living: list[asyncio.Task[None]] = []
        self._nursing: asyncio.Task[None] | None = None
        self._expected_down: set[str] = set()

    async def __aenter__(self) -> Self:
        try:
            self._stack.push_async_callback(self.platform.kill)
            await self.platform.start()
            self._nursing = asyncio.create_task(self._nurse())
            channels = Channels(self.platform.endpoints)
            self._stack.push_async_callback(channels.close)
            self.people = [
                Person(number, channels, self.history, self.seed)
                for number in range(self.people_count)
            ]
            self._living = [asyncio.create_task(person.live()) for person in self.people]
            await self.meets_after(time.time(), "the start")
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [*self._living, *([self._nursing] if self._nursing is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stack.aclose()
        self.history.__exit__()

    async def kill(self, process: ServiceProcess) -> float:
        """SIGKILL; seconds until somebody new was matched. The process comes back."""
        since_s = self.history.add(Kind.FAULT, "kill", target=process.name).at_s
        self.kills += 1
        self._expected_down.add(process.name)
        try:
            await process.kill()
            starting = asyncio.create_task(process.start())
            try:
                return await self.meets_after(since_s, f"kill of {process.member.role}")
            finally:
                await starting
        finally:
            self._expected_down.discard(process.name)

    async def stop_for(self, process: ServiceProcess, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after a while: it believes that no time has passed."""
        process.pause()
        try:
            await asyncio.sleep(seconds)
        finally:
            process.resume()

    async def fault(
        self, what: str, make: Callable[[], Awaitable[object]], *, from_its_end: bool = False
    ) -> float:
        """Makes a fault; seconds until somebody new was matched after it was over, from its
        beginning or its end. Raises TimeoutError."""
        since_s = self.history.add(Kind.FAULT, what).at_s
        await make()
        end_s = self.history.add(Kind.FAULT, f"end of {what}").at_s
        took_s = await self.meets_after(end_s, what)
        return took_s if from_its_end else end_s - since_s + took_s

    async def meets_after(self, since_s: float, what: str) -> float:
        """Seconds from then until somebody was told of a match. Raises TimeoutError."""
        async with asyncio.timeout(RECOVERY_S):
            while (at_s := self._first_match(since_s)) is None:
                self._look_after()
                await asyncio.sleep(LOOK_S)
        self.history.add(Kind.RECOVERED, f"matching after {what}", seconds=at_s - since_s)
        return at_s - since_s

    async def directive_for(self, person: Person, since_s: float, within_s: float) -> bool:
        """The platform orders the person's picture to be protected."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                wanted = {"user": person.user, "action": "PROTECT"}
                while not self.told_since(since_s, "directive", **wanted):  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_S)
                return True
        return False

    def clear_people(self) -> list[Person]:
        """Whose newest verdict is CLEAR."""
        newest = {
            entry.text("user"): entry.text("verdict")
            for entry in self.history.entries
            if entry.kind is Kind.TOLD and entry.what == "verdict"
        }
        return [person for person in self.people if newest.get(person.user) == "CLEAR"]

    def told_since(self, since_s: float, what: str, **fields: str) -> int:
        """How often people were told so."""
        return sum(
            entry.kind is Kind.TOLD
            and entry.what == what
            and entry.at_s > since_s
            and all(entry.text(name) == value for name, value in fields.items())
            for entry in self.history.entries
        )

    async def linked(self, since_s: float, what: str) -> float:
        """Seconds from then until everybody's streams are open. Raises TimeoutError."""
        async with asyncio.timeout(RECOVERY_S):
            while not all(person.linked for person in self.people):
                self._look_after()
                await asyncio.sleep(LOOK_S)
        took_s = time.time() - since_s
        self.history.add(Kind.RECOVERED, f"streams after {what}", seconds=took_s)
        return took_s

    async def breaches(self, rules: Rules) -> list[Breach]:
        """Ends the meetings, waits until the platform is quiet, and checks the eight."""
        for person in self.people:
            person.close()
        _, stuck = await asyncio.wait(self._living, timeout=CLOSING_S)
        self._look_after()
        await self._quiet()
        says = f"{len(stuck)} people never heard that their match is over"
        return [*([Breach(4, says)] if stuck else []), *check(await self.evidence(), rules)]

    async def evidence(self) -> Evidence:
        """Everything there is to look at."""
        tables = {}
        for service in STORES:
            where = self.engines.database(service)
            for table in await table_names(where):
                tables[f"{service}.{table}"] = await read_rows(where, f"SELECT * FROM {table}")  # noqa: S608
        outputs = {one.name: one.read_bytes() for one in sorted(self.platform.logs.iterdir())}
        records = await self.engines.records([])
        return Evidence(self.history.entries, records, tables, outputs)

    def _first_match(self, since_s: float) -> float | None:
        """When somebody was first told of a match that nobody knew before then."""
        known: set[str] = set()
        for entry in self.history.entries:
            if entry.kind is Kind.TOLD and entry.what == "matched":
                if entry.at_s > since_s and entry.text("match") not in known:
                    return entry.at_s
                known.add(entry.text("match"))
        return None

    async def _quiet(self) -> None:
        """Until nobody is live or waits, and every outbox is empty; as long as QUIET_S."""
        waiting = (
            ("matching", "SELECT 1 FROM live_matches LIMIT 1"),
            *((service, "SELECT 1 FROM outbox LIMIT 1") for service in ("matching", "moderation")),
        )
        end = time.monotonic() + QUIET_S
        while time.monotonic() < end:
            rows = [await read_rows(self.engines.database(one), query) for one, query in waiting]
            if not any(rows) and await self._tickets_over():
                break
            await asyncio.sleep(2.0)
        await asyncio.sleep(3.0)  # three looks of consumers at what was published last

    async def _tickets_over(self) -> bool:
        """Also of those that nobody was told of, because their sender saw the log fail."""
        written = facts.tickets(Evidence(records=await self.engines.records([topics.TICKETS])))
        rows = await read_rows(
            self.engines.database("matching"), "SELECT ticket_id FROM ticket_ends"
        )
        return {one.ticket_id for one in written} <= {str(row["ticket_id"]) for row in rows}

    async def _nurse(self) -> None:
        """Starts again what ended by itself, as a supervisor does. Counts whoever had started: a
        start may fail while an engine is away, and then says so."""
        while True:
            for one in self.platform.processes:
                if not one.running and one.name not in self._expected_down:
                    self.crashes += one.answered
                    what = "crash" if one.answered else "no start"
                    self.history.add(Kind.FAULT, what, target=one.name, said=one.tail(40))
                    await one.launch()
            await asyncio.sleep(4 * LOOK_S)

    def _look_after(self) -> None:
        """A person whose task failed is a fault of the driver: say so at once."""
        for task in self._living:
            if task.done() and not task.cancelled() and task.exception() is not None:
                task.result()
