"""Matching end to end: devices over gRPC, the real service in a process of its own on the embedded
log and SQLite.

People arrive at random (Poisson) and whatever the answers: open loop. Each looks for somebody,
meets, hangs up after a moment, and is gone; heartbeats are sent while somebody looks or talks. The
rate rises until the service cannot keep up: that is the knee. The figures are taken at half of it.
Patience is off (INYEON_MATCHING_MIN_SIMILARITY=0): how long people hold out for somebody more alike
is an operator's wish and not the platform's time.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
from figures import Row, progress

from inyeon.cli.roles import builders
from inyeon.matching.adapters.wire import timestamp, wish_to
from inyeon.matching.workload import Workload, synthetic_waiters
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.harness import Ports, run
from inyeon.runtime.identity import claims
from inyeon.runtime.identity.statements import StatementSigner
from inyeon.runtime.identity.statements_pb import seal
from inyeon.runtime.identity.tokens import TokenIssuer, audience_of
from inyeon.runtime.keyring import Keyring
from inyeon.runtime.loop import collect_less
from inyeon.runtime.loop import run as run_loop
from inyeon.runtime.settings import RuntimeSettings
from inyeon_protos.common.v1 import identity_pb2, stream_pb2
from inyeon_protos.matching.v1 import matching_pb2 as pb
from inyeon_protos.matching.v1 import matching_pb2_grpc

BENCH = "matching_flow"
DEVICES = 4_000
RATES = (200, 400, 600, 800, 1_000, 1_200)
"""Users a second."""
STEP_S = 8.0
FIGURES_S = 20.0
TALK_S = 0.3
BEAT_S = 10.0  # the longest pause that the contract allows
LATE_S = 0.6
"""Beyond this p99, or below KEPT_UP of the offered rate, the service does not keep up."""
KEPT_UP = 0.95
START_S = 60.0  # a service starts in 3 s, and compiles its loops in some 10 where it never ran
OPEN_TOGETHER = 50


@dataclass(frozen=True, slots=True)
class Step:
    """What one rate brought."""

    rate: float
    assigned_per_s: float
    waits_s: tuple[float, ...]
    cpu_s_per_s: float

    def wait_s(self, share: float) -> float:
        """A quantile of the time to match."""
        return float(np.quantile(self.waits_s, share)) if self.waits_s else float("inf")

    @property
    def kept_up(self) -> bool:
        """The service could do what was asked."""
        return self.assigned_per_s >= KEPT_UP * self.rate and self.wait_s(0.99) <= LATE_S


def flow(load: Workload) -> list[Row]:
    """The rows of this bench."""
    return asyncio.run(_flow(load))


async def _flow(load: Workload) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="inyeon-bench-") as name:
        folder = Path(name)
        async with service(folder) as (address, _, process):
            crowd = Crowd(load, folder, address, process)
            try:
                await crowd.open()
                knee = await _knee(crowd)
                step = await crowd.step(knee.rate / 2, FIGURES_S)
            finally:
                await crowd.close()
    return [
        Row(BENCH, "knee", knee.assigned_per_s, "users/s"),
        Row(BENCH, "assigned at half of it", step.assigned_per_s, "users/s"),
        Row(
            BENCH,
            "assigned a CPU second of the service",
            step.assigned_per_s / step.cpu_s_per_s,
            "users",
            500,
        ),
        Row(BENCH, "time to match p50", 1e3 * step.wait_s(0.5), "ms", 150, "lower"),
        Row(BENCH, "time to match p99", 1e3 * step.wait_s(0.99), "ms", 600, "lower"),
    ]


async def _knee(crowd: Crowd) -> Step:
    """The last rate that the service kept up with."""
    best: Step | None = None
    for rate in RATES:
        step = await crowd.step(rate, STEP_S)
        progress(
            f"{rate}/s offered: {step.assigned_per_s:.0f}/s, p50 {1e3 * step.wait_s(0.5):.0f} ms,"
            f" p99 {1e3 * step.wait_s(0.99):.0f} ms, {step.cpu_s_per_s:.2f} cores"
        )
        if not step.kept_up:
            break
        best = step
    if best is None:
        return Step(RATES[0], 0.0, (), 1.0)
    return best


@dataclass(slots=True)
class _Device:
    """One person's stream."""

    number: int
    call: Any
    wish: pb.Wish
    sequence: int = 0
    sought_at: float = 0.0
    beaten_at: float = 0.0
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def send(self, **kind: Any) -> None:
        async with self.writing:  # sequences must reach the wire in order
            self.sequence += 1
            await self.call.write(pb.SeekRequest(sequence=self.sequence, **kind))


class Crowd:
    """All devices."""

    def __init__(
        self,
        load: Workload,
        folder: Path,
        address: str,
        process: psutil.Process,
        talk_s: float = TALK_S,
    ) -> None:
        self._talk_s = talk_s
        ring = Keyring(_settings(folder), SystemClock())
        self._issuer: TokenIssuer = ring.token_issuer()
        self._signer: StatementSigner = ring.signer("moderation")
        self._channels = [
            grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
            for _ in range(8)
        ]
        self._process = process
        self._load = load
        self._devices: list[_Device] = []
        self._idle: list[_Device] = []
        self._busy: dict[int, _Device] = {}
        self._waits_s: list[float] = []
        self._work: list[asyncio.Task[None]] = []
        self._rng = np.random.default_rng(load.seed)

    async def open(self) -> None:
        """Opens all streams."""
        waiters = list(
            islice(synthetic_waiters(DEVICES, self._load.seed, 0.0, self._load.mix), DEVICES)
        )
        for start in range(0, DEVICES, OPEN_TOGETHER):
            numbers = range(start, min(start + OPEN_TOGETHER, DEVICES))
            opened = await asyncio.gather(*(self._open(n, waiters[n].ticket) for n in numbers))
            self._devices += opened
        self._idle = list(self._devices)
        self._work += [asyncio.create_task(self._listen(device)) for device in self._devices]
        self._work.append(asyncio.create_task(self._beat()))
        progress(f"{DEVICES} devices are there")

    async def step(self, rate: float, seconds: float) -> Step:
        """People arrive at `rate` for so long."""
        self._waits_s = []
        cpu_s, began = _cpu_s(self._process), time.perf_counter()
        due = began
        while (now := time.perf_counter()) < began + seconds:
            while due <= now:
                due += float(self._rng.exponential(1 / rate))
                await self._arrive()
            await asyncio.sleep(0.002)
        took_s = time.perf_counter() - began
        assigned = len(self._waits_s)
        step = Step(
            rate,
            assigned / took_s,
            tuple(self._waits_s),
            (_cpu_s(self._process) - cpu_s) / took_s,
        )
        await asyncio.sleep(1.0)  # who waits still is not counted to the next step
        return step

    async def close(self) -> None:
        """Ends everything."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        for device in self._devices:
            device.call.cancel()
        for channel in self._channels:
            await channel.close()

    async def _arrive(self) -> None:
        if not self._idle:
            return  # the service holds everybody: it does not keep up, and the step says so
        place = int(self._rng.integers(len(self._idle)))
        device = self._idle[place]
        self._idle[place] = self._idle[-1]
        self._idle.pop()
        device.sought_at = time.perf_counter()
        self._busy[device.number] = device
        await device.send(wish=device.wish)
        await self._heartbeat(device)

    async def _open(self, number: int, ticket: Any) -> _Device:
        person = ticket.person
        token = self._issuer.issue(
            person.user_id,
            audience_of("matching"),
            age_band=claims.AgeBand.ADULT,
            country=person.country,
            gender=claims.Gender[person.gender.name],
        )
        stub = matching_pb2_grpc.MatchingServiceStub(self._channels[number % len(self._channels)])
        call: Any = stub.Seek(metadata=(("authorization", f"Bearer {token}"),))
        opening = stream_pb2.StreamOpen(
            client_id=f"bench-{number}", session_id=f"session-{number}", protocol_version=1
        )
        await call.write(pb.SeekRequest(control=stream_pb2.ClientControl(open=opening)))
        answer = await call.read()
        if answer is grpc.aio.EOF or not answer.control.HasField("opened"):
            raise RuntimeError(f"device {number} could not open its stream")
        return _Device(number, call, wish_to(ticket.wish))

    async def _listen(self, device: _Device) -> None:
        with suppress(grpc.aio.AioRpcError):
            while (message := await device.call.read()) is not grpc.aio.EOF:
                match message.WhichOneof("kind"):
                    case "matched":
                        self._waits_s.append(time.perf_counter() - device.sought_at)
                        if message.matched.offers:
                            self._later(self._talk_s, device, message.matched.match_id)
                    case "match_over":
                        del self._busy[device.number]
                        self._idle.append(device)

    def _later(self, after_s: float, device: _Device, match_id: str) -> None:
        async def hang_up() -> None:
            await asyncio.sleep(after_s)
            over = pb.EndMatch(match_id=match_id, reason=pb.END_REASON_LEFT)
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await device.send(end_match=over)

        self._work.append(asyncio.create_task(hang_up()))
        if len(self._work) > 8 * DEVICES:
            self._work = [task for task in self._work if not task.done()]

    async def _beat(self) -> None:
        """Who looks or talks and has said nothing for nearly BEAT_S."""
        while True:
            await asyncio.sleep(0.1)
            late = time.perf_counter() - 0.8 * BEAT_S
            for device in [one for one in self._busy.values() if one.beaten_at <= late]:
                with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    await self._heartbeat(device)

    async def _heartbeat(self, device: _Device) -> None:
        device.beaten_at = time.perf_counter()
        now = SystemClock().now()
        fact = identity_pb2.SafetyPass(
            user_id=f"user-{device.number}",
            session_id="observing",
            policy_version="1",
            issued_at=timestamp(now),
            expires_at=timestamp(now + timedelta(seconds=30)),
        )
        signed = seal(self._signer, fact)
        await device.send(heartbeat=pb.Heartbeat(present=True, safety_pass=signed))


def _cpu_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


@asynccontextmanager
async def service(
    folder: Path, **environment: str
) -> AsyncIterator[tuple[str, str, psutil.Process]]:
    """Addresses of gRPC and of metrics, and the process."""
    log = (folder / "service.log").open("wb")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, str(folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
        env={
            **os.environ,
            "OPENBLAS_NUM_THREADS": "1",
            "INYEON_MATCHING_MIN_SIMILARITY": "0",
            **environment,
        },
    )
    try:
        if child.stdout is None:
            raise RuntimeError("the service has no output")
        line = await asyncio.wait_for(child.stdout.readline(), START_S)
        if not line:
            raise RuntimeError((folder / "service.log").read_text()[-2000:])
        grpc_port, http_port = map(int, line.split())
        yield f"127.0.0.1:{grpc_port}", f"127.0.0.1:{http_port}", psutil.Process(child.pid)
    finally:
        log.close()
        if child.returncode is None:
            child.terminate()
        await asyncio.wait_for(child.wait(), START_S)


def _settings(folder: Path) -> RuntimeSettings:
    return RuntimeSettings(
        data_dir=folder, grpc_port=0, internal_port=0, http_port=0, log_level="WARNING"
    )


def _tell_ports(ports: Ports) -> None:
    collect_less()  # as `inyeon serve` does
    sys.stdout.write(f"{ports.grpc} {ports.http}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """The service's own process."""
    return run_loop(
        run(builders(("matching",)), _settings(Path(arguments[0])), started=_tell_ports)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
