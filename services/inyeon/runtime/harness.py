"""Starts and stops every service the same way.

Start: ground, services, ports, tasks; ready when every service says so. Stop, on SIGTERM or SIGINT
or when a task fails: health NOT_SERVING, streams drained, servers, tasks, closers in reverse.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as aio_health
from grpc_reflection.v1alpha import reflection

from inyeon.runtime.ground import SharedGround
from inyeon.runtime.identity.tokens import INTERNAL_AUDIENCE, audience_of
from inyeon.runtime.interceptors import Access, Gate
from inyeon.runtime.peers_grpc import PeerServicer
from inyeon.runtime.ratelimit import Rate, RateLimiter
from inyeon.runtime.servers import HttpServer, bind_grpc, bind_http, grpc_server, http_app
from inyeon.runtime.service import BackgroundTask, Ground, Service
from inyeon.runtime.settings import RuntimeSettings
from inyeon.runtime.telemetry import (
    RpcMetrics,
    configure_logging,
    configure_tracing,
    gauge,
    span_processors,
)
from inyeon_protos.common.v1 import peer_pb2, peer_pb2_grpc

Build = Callable[[Ground], Awaitable[Service]]

# A pod's grace must be above the sum: 20 drain + 5 calls + 5 tasks + 8 closers = 38 s.
DRAIN_S = 20.0  # DRAIN_S of the stream server, all streams at once
CALLS_S = 5.0  # unary calls have 5 s by default
TASKS_S = 5.0  # a task gives back its lease and its partitions
CLOSE_S = 2.0  # each closer; a process has some four that wait for a disk
READY_EVERY_S = 1.0  # and 0.05 s until ready the first time, so that a start is not rounded up

PEER_SERVICE = peer_pb2.DESCRIPTOR.services_by_name["PeerService"].full_name
_PEERS = Rate(per_s=50_000, burst=50_000)  # replicas trust each other; what they carry is bounded

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the process listens."""

    grpc: int
    internal: int
    http: int


async def run(
    build_services: Sequence[Build],
    settings: RuntimeSettings,
    *,
    stop: asyncio.Event | None = None,
    started: Callable[[Ports], None] | None = None,
) -> int:
    """Runs services until a signal, `stop` or the failure of a task. Returns the exit code: 0, or 1
    when something failed. `started` is called once, when every service is ready.

    Raises SettingsRefused, LogCorrupt, StoreCorrupt, MigrationFailed before anything listens.
    """
    configure_logging(settings.log_level, readable=settings.development)
    spans = configure_tracing(settings.replica, span_processors(settings.traces))
    process = _Process(settings, stop or asyncio.Event(), started)
    with _Signals(process.stop):
        try:
            await process.start(build_services)
            await process.serve()
        finally:
            await process.end()
            if spans is not None:
                spans.shutdown()
    return 1 if process.failed else 0


@dataclass
class _Process:
    """Everything of one run."""

    settings: RuntimeSettings
    stop: asyncio.Event
    started: Callable[[Ports], None] | None
    failed: bool = False
    services: list[Service] = field(default_factory=list)
    _began_at: float = field(default_factory=time.monotonic)
    _ground: SharedGround | None = None
    _servers: list[grpc.aio.Server] = field(default_factory=list)
    _http: HttpServer | None = None
    _sock: socket.socket | None = None
    _tasks: list[BackgroundTask] = field(default_factory=list)
    _running: list[asyncio.Task[None]] = field(default_factory=list)
    _health: aio_health.HealthServicer = field(default_factory=aio_health.HealthServicer)
    _ready: dict[str, bool] = field(default_factory=dict)
    _ports: Ports = Ports(0, 0, 0)

    async def start(self, build_services: Sequence[Build]) -> None:
        """Builds what runs and opens the ports."""
        _log.info("platform.starting", **self.settings.redacted())
        ground = self._ground = await SharedGround.open(self.settings)
        for build in build_services:
            self.services.append(await build(ground))
        self._ready = dict.fromkeys((service.name for service in self.services), False)
        self._ports = await self._listen(ground)
        ready = BackgroundTask("readiness", lambda: self._watch_readiness(ground))
        of_services = [task for service in self.services for task in service.tasks]
        # The pages come last: they end by themselves, once what they show is over.
        self._tasks = [*ground.tasks, *of_services, ready, *self._tasks]

    async def serve(self) -> None:
        """Runs tasks until it is time to stop, then drains while they still run."""
        async with asyncio.TaskGroup() as group:
            self._running = [group.create_task(self._guard(task)) for task in self._tasks]
            await self.stop.wait()
            await self._drain()
            for task in self._running[:-1]:
                task.cancel()
            await asyncio.wait(self._running, timeout=TASKS_S)
            self._running[-1].cancel()

    async def end(self) -> None:
        """Runs closers in reverse order. The first error survives, the others are logged. What a
        start that failed has opened is closed too.
        """
        await asyncio.gather(*(server.stop(0) for server in self._servers))
        if self._sock is not None:
            self._sock.close()
        closers = [*(self._ground.closers if self._ground else [])]
        closers += [closer for service in self.services for closer in service.closers]
        first: BaseException | None = None
        for closer in reversed(closers):
            try:
                async with asyncio.timeout(CLOSE_S):
                    await closer()
            except Exception as error:  # every closer gets its turn
                _log.exception("platform.close_failed")
                first = first or error
        _log.info("platform.stopped", failed=self.failed)
        if first is not None:
            raise first

    async def _listen(self, ground: SharedGround) -> Ports:
        limiter, metrics = RateLimiter(ground.clock), RpcMetrics(ground.metrics)
        public = grpc_server(
            self.settings, [Gate(self._public_access(), ground.tokens, limiter, metrics)]
        )
        peers_only = Access({PEER_SERVICE: INTERNAL_AUDIENCE}, unary=_PEERS)
        internal = grpc_server(
            self.settings, [Gate(peers_only, ground.internal_verifier(), limiter, metrics)]
        )
        peer_pb2_grpc.add_PeerServiceServicer_to_server(PeerServicer(ground.local_peers), internal)
        for service in self.services:
            service.bind(public)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, public)
        if self.settings.development:
            reflection.enable_server_reflection(
                (*self._grpc_names(), "grpc.health.v1.Health", reflection.SERVICE_NAME), public
            )
        host = self.settings.host
        sock = self._sock = bind_http(host, self.settings.http_port)
        ports = Ports(
            bind_grpc(public, host, self.settings.grpc_port, "INYEON_GRPC_PORT"),
            bind_grpc(internal, host, self.settings.internal_port, "INYEON_INTERNAL_PORT"),
            sock.getsockname()[1],
        )
        for server in (public, internal):
            self._servers.append(server)
            await server.start()
        routers = [service.routes for service in self.services if service.routes is not None]
        self._http = http = HttpServer(http_app(ground.metrics, lambda: self._ready, routers))
        self._tasks.append(BackgroundTask("http", lambda: http.serve(sockets=[sock])))
        return ports

    def _public_access(self) -> Access:
        audiences = {
            name: audience_of(service.name)
            for service in self.services
            for name in service.grpc_names
        }
        open_methods = frozenset[str]().union(*(service.open_methods for service in self.services))
        return Access(audiences, open_methods)

    def _grpc_names(self) -> tuple[str, ...]:
        return tuple(name for service in self.services for name in service.grpc_names)

    async def _guard(self, task: BackgroundTask) -> None:
        """The process's edge for a task: what it raises is logged and ends the process."""
        try:
            await task.run()
        except Exception:
            _log.exception("platform.task_failed", task=task.name)
            self.failed = True
            self.stop.set()

    async def _watch_readiness(self, ground: SharedGround) -> None:
        shown = gauge(ground.metrics, "inyeon_service_ready", "Ready services", ("service",))
        announced = False
        while True:
            for service in self.services:
                await self._set_ready(service, service.ready())
                shown.labels(service.name).set(self._ready[service.name])
            ready = all(self._ready.values()) and self._http is not None and self._http.started
            await self._health.set("", _serving(ready))
            if ready and not announced:
                announced = True
                self._announce()
            await ground.clock.sleep(READY_EVERY_S if announced else READY_EVERY_S / 20)

    async def _set_ready(self, service: Service, ready: bool) -> None:
        # Somebody who asks while the process drains must not be sent here again.
        ready = self._ready[service.name] = ready and not self.stop.is_set()
        for name in (service.name, *service.grpc_names):
            await self._health.set(name, _serving(ready))

    def _announce(self) -> None:
        took_s = round(time.monotonic() - self._began_at, 3)
        ports = {"grpc": self._ports.grpc, "http": self._ports.http}
        names = [service.name for service in self.services]
        _log.info("platform.ready", services=names, start_s=took_s, **ports)
        if self.started is not None:
            self.started(self._ports)

    async def _drain(self) -> None:
        """Callers are sent elsewhere before anything of theirs is cut."""
        _log.info("platform.draining")
        self._ready = dict.fromkeys(self._ready, False)
        await self._health.enter_graceful_shutdown()
        drains = [service.drain() for service in self.services if service.drain is not None]
        try:
            async with asyncio.timeout(DRAIN_S):
                for problem in await asyncio.gather(*drains, return_exceptions=True):
                    if isinstance(problem, BaseException):
                        _log.error("platform.drain_failed", exc_info=problem)
        except TimeoutError:
            _log.warning("platform.drain_timeout", limit_s=DRAIN_S)
        await asyncio.gather(*(server.stop(CALLS_S) for server in self._servers))
        if self._http is not None:
            self._http.should_exit = True


def _serving(ready: bool) -> health_pb2.HealthCheckResponse.ServingStatus.ValueType:
    status = health_pb2.HealthCheckResponse
    return status.SERVING if ready else status.NOT_SERVING


class _Signals:
    """SIGTERM and SIGINT set an event while the block runs."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    def __enter__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)
