"""The harness with a small service: real ports, real files, real signals in a child process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from fastapi import APIRouter
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from inyeon.runtime.harness import Build, Ports, run
from inyeon.runtime.identity.tokens import audience_of
from inyeon.runtime.service import BackgroundTask, Ground, Service
from inyeon.runtime.settings import RuntimeSettings
from inyeon_protos.translation.v1 import translation_pb2 as tr
from inyeon_protos.translation.v1 import translation_pb2_grpc as tr_grpc

pytestmark = pytest.mark.unit

SERVICE = "inyeon.translation.v1.TranslationService"
START_S = 15.0  # about 0.5 s here; this machine may be busy


class Echo(tr_grpc.TranslationServiceServicer):
    """Says the text again."""

    async def Translate(self, request: Any, context: Any) -> tr.TranslateResponse:
        if request.text == "defect":
            raise RuntimeError("the inside of a defect")
        return tr.TranslateResponse(text=request.text)


class Story:
    """What happened to a service, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.ready = True
        self.ground: Ground | None = None
        self.break_task = asyncio.Event()
        self.drain: Callable[[], Awaitable[None]] = self._drain

    async def build(self, ground: Ground) -> Service:
        self.ground = ground
        routes = APIRouter()

        @routes.get("/page")
        async def page() -> str:
            return "a page"

        return Service(
            name="translation",
            grpc_names=(SERVICE,),
            bind=lambda server: tr_grpc.add_TranslationServiceServicer_to_server(Echo(), server),  # type: ignore[abstract]
            tasks=(BackgroundTask("loop", self._loop),),
            ready=lambda: self.ready,
            drain=lambda: self.drain(),
            closers=(self._close("first"), self._close("second")),
            routes=routes,
        )

    async def _loop(self) -> None:
        try:
            await self.break_task.wait()
            raise RuntimeError("the loop broke")
        finally:
            self.events.append("task over")

    async def _drain(self) -> None:
        self.events.append("drain")

    def _close(self, name: str) -> Callable[[], Awaitable[None]]:
        async def close() -> None:
            self.events.append(f"close {name}")

        return close


def settings_in(folder: Path, **other: Any) -> RuntimeSettings:
    ports = {"grpc_port": 0, "internal_port": 0, "http_port": 0}
    return RuntimeSettings(data_dir=folder / "data", **(ports | other))


class Started:
    """A process that runs in this loop."""

    def __init__(self, ports: Ports, stop: asyncio.Event, task: asyncio.Task[int]) -> None:
        self.ports = ports
        self.stop = stop
        self.task = task

    def http(self, path: str) -> str:
        return f"http://127.0.0.1:{self.ports.http}{path}"


@asynccontextmanager
async def started(builds: tuple[Build, ...], settings: RuntimeSettings) -> AsyncIterator[Started]:
    stop = asyncio.Event()
    ports: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(run(builds, settings, stop=stop, started=ports.set_result))
    try:
        both: set[asyncio.Future[Any]] = {task, ports}
        await asyncio.wait(both, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield Started(ports.result(), stop, task)
    finally:
        stop.set()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(task, START_S)


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
async def platform(story: Story, tmp_path: Path) -> AsyncIterator[Started]:
    async with started((story.build,), settings_in(tmp_path)) as running:
        yield running


@pytest.fixture
async def channel(platform: Started) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{platform.ports.grpc}") as channel:
        yield channel


def token_for(story: Story, audience: str = audience_of("translation")) -> tuple[Any, ...]:
    assert story.ground is not None
    return (("authorization", f"Bearer {story.ground.token_issuer().issue('u1', audience)}"),)


async def test_calls_health_reflection_pages_and_metrics(
    story: Story, platform: Started, channel: grpc.aio.Channel
) -> None:
    stub = tr_grpc.TranslationServiceStub(channel)
    request = tr.TranslateRequest(text="hola", target_language="en")
    assert (await stub.Translate(request, timeout=5, metadata=token_for(story))).text == "hola"

    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", "translation", SERVICE):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING

    listed = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    )
    try:
        names = {service.name for service in (await listed.read()).list_services_response.service}
    finally:
        listed.cancel()
    assert SERVICE in names

    async with httpx.AsyncClient() as http:
        assert (await http.get(platform.http("/page"))).json() == "a page"
        assert (await http.get(platform.http("/healthz"))).json() == {"alive": True}
        ready = await http.get(platform.http("/readyz"))
        assert (ready.status_code, ready.json()["ready"]) == (200, True)
        metrics = (await http.get(platform.http("/metrics"))).text
    handled = f'inyeon_rpc_handled_total{{code="OK",method="/{SERVICE}/Translate"}} 1.0'
    assert handled in metrics
    assert 'inyeon_service_ready{service="translation"} 1.0' in metrics
