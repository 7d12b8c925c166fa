"""What is done to the log level, in order: kills, broker restarts, stops, cuts, bad networks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from inyeon_chaos.log_level import LogLevel
from inyeon_chaos.log_level import Verdict as LogVerdict
from inyeon_chaos.measured import Measured, Tell
from inyeon_chaos.stack_engines import StackEngines, stack_engines

SERVICES = ("producer", "consumer")
SEED = 20261123
# The session time-out of a member is 10 s: 10 s beyond it, others have its partitions for sure.
STOPPED_S = 20.0
BROKER_DOWN_S = 60.0
NETWORK_S = 10.0
DELAY_S = 0.2
# Longer than a request may take (5 s) and a batch may wait (15 s): the client must give up once.
SILENT_S = 20.0

RESTART, ONE_OF_THREE = "broker restart", "one broker of three"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of each."""

    kills: int = 100
    restarts: int = 20
    cuts: int = 5
    database_kills: int = 2
    long_faults: bool = True
    """SIGSTOP of a consumer, a broker away for 60 s, bad networks."""


async def one_broker(folder: Path, plan: Plan, tell: Tell) -> Measured:
    """Every fault of the plan on one broker and one database. Raises EngineMissing."""
    measured = Measured("log")
    async with (
        stack_engines(folder, SERVICES) as engines,
        LogLevel(folder / "run", engines, SEED) as level,
    ):
        scenario = _Scenario(level, engines, measured, tell)
        await scenario.kills(plan.kills)
        await scenario.broker_restarts(plan.restarts)
        await scenario.database(plan.cuts, plan.database_kills)
        if plan.long_faults:
            await scenario.long_faults()
        tell("waiting for every effect")
        return _result(measured, await level.verdict())


async def three_brokers(folder: Path, losses: int, tell: Tell) -> Measured:
    """A cluster of three loses one broker, again and again. Raises EngineMissing."""
    measured = Measured("log, three brokers")
    async with (
        stack_engines(folder, SERVICES, nodes=3) as engines,
        LogLevel(folder / "run", engines, SEED) as level,
    ):
        for number in range(losses):
            tell(f"broker {number % 3 + 1} of 3 dies")
            took_s = await level.fault(ONE_OF_THREE, partial(engines.lose, number % 3))
            measured.recovered(ONE_OF_THREE, took_s)
            await engines.restore(number % 3)
            measured.restarts += 1
        tell("waiting for every effect")
        return _result(measured, await level.verdict())


@dataclass(frozen=True, slots=True)
class _Scenario:
    level: LogLevel
    engines: StackEngines
    measured: Measured
    tell: Tell

    async def kills(self, count: int) -> None:
        self.tell(f"{count} kill -9 of services")
        await self.level.kill_many(count)
        await self._fault("after the kills", _nothing)

    async def broker_restarts(self, count: int) -> None:
        for number in range(count):
            hard = number % 2 == 0
            self.tell(f"broker restart {number + 1} of {count}, {'kill -9' if hard else 'SIGTERM'}")
            await self._fault(RESTART, partial(self.engines.restart_broker, hard=hard))
            self.measured.restarts += 1

    async def database(self, cuts: int, kills: int) -> None:
        for number in range(cuts):
            service = SERVICES[number % 2]
            self.tell(f"connections of {service} cut")
            await self._fault("connections cut", partial(self.engines.cut_connections, service))
        for _ in range(kills):
            self.tell("database killed")
            await self._fault("database killed", self.engines.kill_database)

    async def long_faults(self) -> None:
        self.tell(f"a consumer stands still for {STOPPED_S:.0f} s")
        await self._fault("consumer stopped", self._stop_consumer)
        self.tell(f"no broker for {BROKER_DOWN_S:.0f} s")
        await self._fault(
            "broker away 60 s",
            partial(self.engines.restart_broker, down_s=BROKER_DOWN_S),
            from_its_end=True,
        )
        self.tell("late, cut and silent networks")
        for what, make in self._networks().items():
            await self._fault(what, make, from_its_end=True)

    def _networks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        network = self.engines.bad_network
        return {
            "network late": partial(network, NETWORK_S, delay_s=DELAY_S),
            "network cut": partial(network, NETWORK_S),
            "network silent": partial(network, SILENT_S, silent=True),
        }

    async def _stop_consumer(self) -> None:
        """The rest must go on without it, and it must do no harm when it comes back."""
        victim = self.level.consumers[0]
        victim.pause()
        try:
            await asyncio.sleep(STOPPED_S)
        finally:
            victim.resume()

    async def _fault(
        self, what: str, make: Callable[[], Awaitable[object]], *, from_its_end: bool = False
    ) -> None:
        took_s = await self.level.fault(what, make, from_its_end=from_its_end)
        self.tell(f"  works again after {took_s:.1f} s")
        self.measured.recovered(what, took_s)


async def _nothing() -> None:
    """The kills were the fault."""


def _result(measured: Measured, verdict: LogVerdict) -> Measured:
    tally = verdict.tally
    measured.kills, measured.crashes = verdict.kills, verdict.crashes
    measured.sent, measured.accepted = tally.sent, tally.accepted
    measured.lost, measured.doubled = tally.lost, tally.doubled
    measured.republished, measured.breaches = tally.republished, verdict.breaches
    return measured
