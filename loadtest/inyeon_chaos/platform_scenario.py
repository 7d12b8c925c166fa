"""What is done to the platform level, in order: kills, stops, engines away, bad networks."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from inyeon_chaos.evidence import Breach
from inyeon_chaos.history import Kind
from inyeon_chaos.invariants import Rules
from inyeon_chaos.log_scenario import RESTART
from inyeon_chaos.measured import Figure, Measured, Tell
from inyeon_chaos.platform import FEW, REPLICAS, STORES, ServiceProcess
from inyeon_chaos.platform_level import RECOVERY_S, PlatformLevel
from inyeon_chaos.stack_engines import StackEngines, stack_engines

SEED = 20261124
OWNER = "the pool's owner"
OWNER_KILLED = "kill -9 of the pool's owner"
# In turn. The owner comes often because its death is the one that stops everybody.
VICTIMS = (
    *(OWNER, "moderation-1", "moderation-worker-1", OWNER, "relay-1", "gateway-1"),
    *(OWNER, "moderation-2", "translation-1", OWNER, "relay-2", "moderation-worker-2"),
)
# A member of a group is given up after 6 s, a lease after 5 s: three times as long, and the others
# have all its work for sure.
STOPPED_S = 18.0
BROKER_DOWN_S = 60.0
NETWORK_S = 10.0
DELAY_S = 0.2
SILENT_S = 15.0
BETWEEN_S = 2.0
DEGRADED = "inyeon_moderation_models_degraded"
SEEN_WITHIN_S = 1.0
# A drawing is a directive after 3.0 s and 4 windows of a second; twice that on a busy machine.
DIRECTIVE_S = 10.0
MODELS_BACK_S = 60.0
INVARIANTS = {
    1: "in two live matches",
    2: "sides that do not name each other",
    3: "barred and paired",
    4: "events without exactly one effect",
    5: "tickets without an end",
    6: "flags lost",
    7: "replay differs",
    8: "raw frames",
}


@dataclass(frozen=True, slots=True)
class PlatformPlan:
    """How much of each."""

    kills: int = 20
    restarts: int = 2
    """Of the broker: the first one is away for 60 s where faults are long."""
    long_faults: bool = True
    """SIGSTOP, a broker away for 60 s, bad networks."""
    replicas: Mapping[str, int] | None = None
    people: int = 10


SMALL = PlatformPlan(kills=1, restarts=0, long_faults=False, replicas=FEW, people=6)
"""The owner is killed once: what a test has time for."""


async def platform(
    folder: Path, plan: PlatformPlan, repository: Path | None, tell: Tell
) -> Measured:
    """Every fault of the plan on a running platform. `repository`: of models, for Triton; None
    leaves it out. Raises EngineMissing."""
    measured = Measured("platform", counted=False)
    async with stack_engines(folder, STORES, repository=repository) as engines:
        tell("starting the platform")
        level = PlatformLevel(folder / "run", engines, SEED, plan.people, plan.replicas or REPLICAS)
        async with level:
            await _Scenario(level, engines, measured, tell).run(plan)
            tell("waiting until the platform is quiet")
            workers = bool(level.platform.of_role("moderation-worker"))
            breaches = await level.breaches(Rules(workers=workers))
        return _result(measured, level, breaches)


@dataclass(frozen=True, slots=True)
class _Scenario:
    level: PlatformLevel
    engines: StackEngines
    measured: Measured
    tell: Tell

    async def run(self, plan: PlatformPlan) -> None:
        await self.kills(plan.kills)
        if self.engines.triton is not None:
            await self.models_away()
        if plan.restarts or plan.long_faults:
            await self.database()
        if plan.long_faults:
            await self.stops()
        await self.broker(plan.restarts, BROKER_DOWN_S if plan.long_faults else 0.0)
        if plan.long_faults:
            await self.networks()

    async def kills(self, count: int) -> None:
        known = {one.name for one in self.level.platform.processes} | {OWNER}
        for name in islice(cycle([one for one in VICTIMS if one in known]), count):
            victim = await self._victim(name)
            what = OWNER_KILLED if name == OWNER else f"kill -9 of {victim.member.role}"
            self.tell(f"{what} ({victim.name})")
            await self._recovery(what, self.level.kill(victim))
            await asyncio.sleep(BETWEEN_S)

    async def models_away(self) -> None:
        """Triton is killed: verdicts of devices stand, directives come, people decide the rest."""
        triton, level = self.engines.triton, self.level
        assert triton is not None  # noqa: S101 - the caller looked
        workers = level.platform.of_role("moderation-worker")
        await asyncio.gather(*(self._models(one, 0.0, MODELS_BACK_S) for one in workers))
        self.tell("Triton killed")
        since_s = level.history.add(Kind.FAULT, "triton killed").at_s
        killing = asyncio.create_task(asyncio.to_thread(triton.kill))
        seen_s = await asyncio.gather(*(self._models(one, 1.0, MODELS_BACK_S) for one in workers))
        await killing
        asked = level.clear_people()[:3]
        for person in asked:
            person.be_drawn()
        told = [await level.directive_for(person, since_s, DIRECTIVE_S) for person in asked]
        troubles = level.told_since(since_s, "trouble") + level.told_since(since_s, "refused")
        meets_s = await level.meets_after(time.time(), "the end of models")
        self.tell(f"  seen after {max(seen_s):.2f} s, {sum(told)} directives, {troubles} errors")
        await asyncio.to_thread(triton.start)
        back_s = await asyncio.gather(*(self._models(one, 0.0, MODELS_BACK_S) for one in workers))
        self.measured.figures += [
            Figure("Triton killed: degradation seen, max", max(seen_s), "s", SEEN_WITHIN_S),
            Figure(
                "Triton killed: directives that came",
                sum(told),
                f"of {len(asked)}",
                max(1, len(asked)),
                "higher",
            ),
            Figure("Triton killed: errors of calls and streams", troubles, "errors", 0),
            Figure("Triton killed: people still meet after", meets_s, "s"),
            Figure("Triton back: models asked again after", max(back_s), "s"),
        ]

    async def database(self) -> None:
        for service in ("matching", "moderation"):
            self.tell(f"connections of {service} cut")
            await self._fault("connections cut", partial(self.engines.cut_connections, service))
        self.tell("database killed")
        await self._fault("database killed", self.engines.kill_database)

    async def stops(self) -> None:
        for victim in (self.level.platform.named("moderation-worker-1"), await self._victim(OWNER)):
            self.tell(f"{victim.name} stands still for {STOPPED_S:.0f} s")
            stop = partial(self.level.stop_for, victim, STOPPED_S)
            await self._fault(f"SIGSTOP of {victim.member.role}", stop, from_its_end=True)

    async def broker(self, restarts: int, down_s: float) -> None:
        for number in range(restarts):
            away_s = down_s if number == 0 else 0.0
            self.tell(f"broker killed, back after {away_s:.0f} s")
            restart = partial(self.engines.restart_broker, down_s=away_s)
            what = f"broker away {away_s:.0f} s" if away_s else RESTART
            await self._fault(what, restart, from_its_end=bool(away_s))
            self.measured.restarts += 1

    async def networks(self) -> None:
        network = self.engines.bad_network
        for what, make in {
            "network late": partial(network, NETWORK_S, delay_s=DELAY_S),
            "network cut": partial(network, NETWORK_S),
            "network silent": partial(network, SILENT_S, silent=True),
        }.items():
            self.tell(what)
            await self._fault(what, make, from_its_end=True)

    async def _victim(self, name: str) -> ServiceProcess:
        if name == OWNER:
            return await self.level.platform.pool_owner()
        return self.level.platform.named(name)

    async def _models(self, worker: ServiceProcess, value: float, within_s: float) -> float:
        """Seconds until the worker shows that its models are away (1) or there (0). Raises
        TimeoutError."""
        began = time.monotonic()
        async with asyncio.timeout(within_s):
            while await worker.gauge(DEGRADED) != value:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def _fault(
        self, what: str, make: Callable[[], Awaitable[object]], *, from_its_end: bool = False
    ) -> None:
        await self._recovery(what, self.level.fault(what, make, from_its_end=from_its_end))
        await asyncio.sleep(BETWEEN_S)

    async def _recovery(self, what: str, waiting: Coroutine[Any, Any, float]) -> None:
        """Notes it. Nobody meeting any more is a finding, and no reason to end the run."""
        try:
            self._recovered(what, await waiting)
        except TimeoutError:
            self.tell(f"  nobody met within {RECOVERY_S:.0f} s")
            self.measured.figures.append(Figure(f"{what}: nobody meets again", 1, "times", 0))

    def _recovered(self, what: str, took_s: float) -> None:
        self.tell(f"  people meet after {took_s:.1f} s")
        self.measured.recovered(what, took_s)


def _result(measured: Measured, level: PlatformLevel, breaches: list[Breach]) -> Measured:
    entries = level.history.entries
    measured.kills, measured.crashes = level.kills, level.crashes
    measured.accepted = sum(entry.kind is Kind.ACCEPTED for entry in entries)
    measured.breaches = breaches
    told = Counter(entry.what for entry in entries if entry.kind is Kind.TOLD)
    of = Counter(breach.invariant for breach in breaches)
    measured.figures += [
        Figure("people told of a match", told["matched"], "times"),
        Figure("directives told", told["directive"], "times"),
        *(
            Figure(f"invariant {number}: {says}", of[number], "breaches", 0)
            for number, says in INVARIANTS.items()
        ),
    ]
    return measured
