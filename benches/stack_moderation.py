"""The figures of moderation on real engines: a worker and a service, each a process, and simulated
devices whose escalations come back as directives."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import psutil
from escalation_devices import Load, TokenOf, bench_policy, confirm_one, drive, picture
from figures import Row, progress

from inyeon.cli.ports import free_ports
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.identity.tokens import audience_of
from inyeon.runtime.keyring import Keyring
from inyeon.runtime.settings import RuntimeSettings
from inyeon_stack import KafkaCluster, Postgres, Triton

BENCH = "stack"
BAR_MS = 500.0
IDLE_BAR = 3.0
IDLE_S = 20.0
SETTLE_S = 5.0  # start-up work and first rebalances are not idling
START_S = 120.0  # several processes on two cores; one takes 3 s
EFFECTIVE_BAR_S = 60.0
ROLES = ("moderation", "moderation-worker")


@dataclass(frozen=True, slots=True)
class Engines:
    """What runs already."""

    kafka: KafkaCluster
    postgres: Postgres
    triton: Triton


@dataclass(frozen=True, slots=True)
class Serving:
    """Moderation and its worker."""

    address: str
    token_of: TokenOf
    processes: dict[str, psutil.Process]


async def idle_rows(folder: Path, engines: Engines) -> list[Row]:
    """CPU of services that are connected to everything and have nothing to do."""
    async with serving(folder, engines, images=False) as moderation:
        progress(f"idle: {IDLE_S:g} s")
        await asyncio.sleep(SETTLE_S)
        before = {role: _cpu_s(one) for role, one in moderation.processes.items()}
        await asyncio.sleep(IDLE_S)
        return [
            Row(
                BENCH,
                f"idle CPU of a connected {role}",
                100 * (_cpu_s(one) - before[role]) / IDLE_S,
                "% of a core",
                IDLE_BAR,
                "lower",
            )
            for role, one in moderation.processes.items()
        ]


async def embedding_rows(folder: Path, engines: Engines, per_s: float, for_s: float) -> list[Row]:
    """Escalations that bank search and head decide."""
    async with serving(folder, engines, images=False) as moderation:
        address, token_of = moderation.address, moderation.token_of
        effective_s = await confirm_one(address, token_of)
        progress(f"escalations with bank and head: {per_s:g}/s for {for_s:g} s")
        load = await drive(address, token_of, per_s=per_s, seconds=for_s)
    name = "confirmed case matches after"
    return [
        Row(BENCH, name, effective_s, "s", EFFECTIVE_BAR_S, "lower"),
        *_rows_of(load, f"escalation, bank and head at {per_s:g}/s"),
    ]


async def image_rows(folder: Path, engines: Engines, per_s: float, for_s: float) -> list[Row]:
    """Escalations that one image vote decides, on pictures sent with consent."""
    async with serving(folder, engines, images=True) as moderation:
        progress(f"escalations with an image vote: {per_s:g}/s for {for_s:g} s")
        load = await drive(
            moderation.address,
            moderation.token_of,
            per_s=per_s,
            seconds=for_s,
            jpeg=picture(),
        )
    return _rows_of(load, f"escalation, one image vote at {per_s:g}/s")


def _rows_of(load: Load, name: str) -> list[Row]:
    rows = [
        Row(BENCH, f"{name}: offered", load.offered, "escalations"),
        Row(BENCH, f"{name}: dropped", load.dropped, "escalations", 0.0, "lower"),
        Row(BENCH, f"{name}: p50", load.share(0.5) * 1e3, "ms", None, "lower"),
        Row(BENCH, f"{name}: p95", load.share(0.95) * 1e3, "ms", BAR_MS, "lower"),
        Row(BENCH, f"{name}: p99", load.share(0.99) * 1e3, "ms", None, "lower"),
    ]
    if load.evidence:
        median_ms = statistics.median(load.evidence) * 1e3
        rows.append(Row(BENCH, f"{name}: from picture, p50", median_ms, "ms", None, "lower"))
    return rows


def _cpu_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


@asynccontextmanager
async def serving(folder: Path, engines: Engines, *, images: bool) -> AsyncIterator[Serving]:
    """Both roles in processes of their own, on a database and topics shared by all of a run."""
    await asyncio.to_thread(_prepare, folder, engines, images)
    children: dict[str, asyncio.subprocess.Process] = {}
    ports = {role: free_ports(3) for role in ROLES}
    try:
        for role in ROLES:
            log = folder / f"{role}.log"
            children[role] = await _start(role, log, _environment(folder, engines, ports[role]))
            await _ready(ports[role][2], children[role], log)
        yield Serving(
            f"127.0.0.1:{ports['moderation'][0]}",
            _token_of(folder),
            {role: psutil.Process(child.pid) for role, child in children.items()},
        )
    finally:
        for child in children.values():
            if child.returncode is None:
                child.terminate()
        for child in children.values():
            await asyncio.wait_for(child.wait(), START_S)


def _prepare(folder: Path, engines: Engines, images: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy.yaml").write_text(bench_policy(images=images))
    engines.postgres.create("bench_moderation")


async def _start(role: str, log: Path, environment: dict[str, str]) -> asyncio.subprocess.Process:
    program = str(Path(sys.executable).parent / "inyeon")
    # The worker publishes for both: it has time left where 200 people a second move a verdict.
    environment |= {"INYEON_REPLICA": role, "INYEON_RELAY": str(role != "moderation").lower()}
    with log.open("wb") as out:
        return await asyncio.create_subprocess_exec(
            program, "serve", role, env=environment, stdout=out, stderr=out
        )


def _token_of(folder: Path) -> TokenOf:
    settings = RuntimeSettings(data_dir=folder / "data", grpc_port=0, http_port=0)
    issuer = Keyring(settings, SystemClock()).token_issuer()

    def token_of(user_id: str, *roles: str) -> str:
        lasting = timedelta(minutes=14)
        return issuer.issue(user_id, audience_of("moderation"), roles=roles, lifetime=lasting)

    return token_of


def _environment(folder: Path, engines: Engines, ports: list[int]) -> dict[str, str]:
    return {
        **os.environ,
        "INYEON_KAFKA_SERVERS": json.dumps(engines.kafka.servers),
        "INYEON_DATABASE_URL": engines.postgres.url("bench_{service}"),
        "INYEON_INFERENCE_TRITON": engines.triton.grpc,
        "INYEON_DATA_DIR": str(folder / "data"),
        "INYEON_LOG_LEVEL": "WARNING",
        "INYEON_MODERATION_POLICY": str(folder / "policy.yaml"),
        "INYEON_GRPC_PORT": str(ports[0]),
        "INYEON_INTERNAL_PORT": str(ports[1]),
        "INYEON_HTTP_PORT": str(ports[2]),
    }


async def _ready(port: int, child: asyncio.subprocess.Process, log: Path) -> None:
    async with httpx.AsyncClient() as client:
        for _ in range(int(START_S / 0.1)):
            if child.returncode is not None:
                break
            try:
                if (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
    said = await asyncio.to_thread(log.read_text, errors="replace")
    raise SystemExit(f"not ready after {START_S:g} s:\n{said[-4000:]}")
