"""The harness with a small service: real ports, real files, real signals in a child process."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import APIRouter
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import SettingsRefused
from inyeon.runtime.harness import Build, Ports, run
from inyeon.runtime.identity.keys import load_or_create_key
from inyeon.runtime.identity.signing import Ed25519Signer
from inyeon.runtime.identity.tokens import TokenIssuer, audience_of
from inyeon.runtime.keyring import Keyring
from inyeon.runtime.log.port import NewRecord
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


async def test_a_service_that_is_not_ready_is_told_apart(
    story: Story, platform: Started, channel: grpc.aio.Channel, eventually: Any
) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=10)
    try:
        status = health_pb2.HealthCheckResponse
        assert (await watch.read()).status == status.SERVING
        story.ready = False
        assert (await watch.read()).status == status.NOT_SERVING
        async with httpx.AsyncClient() as http:
            answer = await http.get(platform.http("/readyz"))
        assert (answer.status_code, answer.json()["services"]) == (503, {"translation": False})
    finally:
        watch.cancel()


async def test_the_end_comes_in_order(story: Story, platform: Started) -> None:
    platform.stop.set()
    assert await asyncio.wait_for(platform.task, START_S) == 0
    assert story.events == ["drain", "task over", "close second", "close first"]


async def test_a_broken_task_ends_the_process(story: Story, platform: Started) -> None:
    story.break_task.set()
    assert await asyncio.wait_for(platform.task, START_S) == 1
    assert "drain" in story.events
    assert story.events[-1] == "close first"


async def test_a_drain_that_fails_or_hangs_is_survived(
    story: Story, platform: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inyeon.runtime.harness.DRAIN_S", 0.05)

    async def hang() -> None:
        await asyncio.Event().wait()

    story.drain = hang
    platform.stop.set()
    assert await asyncio.wait_for(platform.task, START_S) == 0


async def test_callers_are_told_while_the_process_drains(
    story: Story, platform: Started, channel: grpc.aio.Channel
) -> None:
    release = asyncio.Event()

    async def slowly() -> None:
        await release.wait()
        raise RuntimeError("a drain that fails is logged")

    story.drain = slowly
    health = health_pb2_grpc.HealthStub(channel)
    watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=10)
    try:
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        platform.stop.set()
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        async with httpx.AsyncClient() as http:
            assert (await http.get(platform.http("/readyz"))).status_code == 503
    finally:
        watch.cancel()
        release.set()
    assert await asyncio.wait_for(platform.task, START_S) == 0


async def test_the_first_error_of_closing_survives(story: Story, tmp_path: Path) -> None:
    async def build(ground: Ground) -> Service:
        service = await story.build(ground)

        async def fail(name: str) -> None:
            story.events.append(name)
            raise RuntimeError(name)

        closers = (lambda: fail("later"), lambda: fail("first"))
        return dataclasses.replace(service, closers=closers)

    async with started((build,), settings_in(tmp_path)) as running:
        running.stop.set()
        with pytest.raises(RuntimeError, match="first"):
            await asyncio.wait_for(running.task, START_S)
    assert story.events[-2:] == ["first", "later"]


@pytest.mark.parametrize("port", ["grpc_port", "internal_port", "http_port"])
async def test_a_taken_port_is_named(story: Story, tmp_path: Path, port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = settings_in(tmp_path, **{port: taken.getsockname()[1]})
        with pytest.raises(SettingsRefused) as caught:
            await run((story.build,), settings)
    assert caught.value.reason == "PORT_TAKEN"
    assert caught.value.field == f"INYEON_{port.upper()}"
    assert story.events[-1] == "close first", "what was built is closed"


async def test_a_large_message_is_refused(
    story: Story, platform: Started, channel: grpc.aio.Channel
) -> None:
    stub = tr_grpc.TranslationServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        request = tr.TranslateRequest(text="x" * 300_000, target_language="en")
        await stub.Translate(request, timeout=5, metadata=token_for(story))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_two_processes_find_each_others_streams(tmp_path: Path) -> None:
    keys = {"keys_dir": tmp_path / "keys"}
    here, there = Story(), Story()
    async with started((there.build,), settings_in(tmp_path / "there", **keys)) as other:
        address = f"127.0.0.1:{other.ports.internal}"
        settings = settings_in(tmp_path / "here", peers=(address,), **keys)
        async with started((here.build,), settings):
            assert here.ground is not None and there.ground is not None
            got: list[bytes] = []

            def take(_: str, data: bytes) -> bool:
                got.append(data)
                return True

            there.ground.peers("translation").hold("u1", 1, take)
            assert await here.ground.peers("translation").deliver("u1", "t", b"hello")
            assert got == [b"hello"]
            signed = there.ground.signer("moderation")
            signature = signed.sign("t", b"p")
            here.ground.verifier("moderation").verify(signed.key_id, "t", b"p", signature)


async def test_a_store_is_opened_and_its_outbox_reaches_the_log(
    story: Story, tmp_path: Path
) -> None:
    from inyeon.moderation.adapters.tables import TABLES

    async def build(ground: Ground) -> Service:
        store = await ground.store("moderation", TABLES)
        async with store.transaction() as tx:
            await tx.emit(NewRecord("moderation.verdicts", "u1", b"v"))
        return await story.build(ground)

    async with started((build,), settings_in(tmp_path)):
        assert story.ground is not None
        reader = await story.ground.log.read_all(["moderation.verdicts"])
        records = await reader.poll(10, timeout_s=10)
        assert [(record.key, record.value) for record in records] == [("u1", b"v")]
        await reader.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_real_process(tmp_path: Path, number: signal.Signals) -> None:
    ports = {"INYEON_GRPC_PORT": "0", "INYEON_INTERNAL_PORT": "0", "INYEON_HTTP_PORT": "0"}
    mine = {name: value for name, value in os.environ.items() if not name.startswith("INYEON_")}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from inyeon.__main__ import main; main()", "serve", "moderation"),
        env=mine | ports | {"INYEON_DATA_DIR": str(tmp_path)},
        stderr=asyncio.subprocess.PIPE,
    )
    assert child.stderr is not None
    try:
        async with asyncio.timeout(60):
            while b"platform.ready" not in (line := await child.stderr.readline()):
                assert line, "the process ended first"
            child.send_signal(number)
            rest = await child.stderr.read()
            assert await child.wait() == 0
        assert b"platform.stopped" in rest
        assert b"Traceback" not in rest
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


PUBLIC_KEYS = ("issuer.pem", "internal.pem", "moderation.pem")


async def test_outside_development_nothing_is_made_up(story: Story, tmp_path: Path) -> None:
    for name in PUBLIC_KEYS[1:]:
        load_or_create_key(tmp_path / name)
    issuer = TokenIssuer(load_or_create_key(tmp_path / "issuer.pem"), SystemClock(), "somebody")
    (tmp_path / "jwks.json").write_text(json.dumps(issuer.jwks()))
    settings = settings_in(
        tmp_path,
        environment="production",
        issuer="somebody",
        jwks=str(tmp_path / "jwks.json"),
        keys_dir=tmp_path,
    )
    async with started((story.build,), settings) as running:
        ground = story.ground
        assert ground is not None and not ground.development
        with pytest.raises(SettingsRefused):
            ground.token_issuer()
        with pytest.raises(SettingsRefused):
            ground.signer("matching")
        public = ground.signer("moderation")
        assert public.key_id
        async with grpc.aio.insecure_channel(f"127.0.0.1:{running.ports.grpc}") as channel:
            stub = tr_grpc.TranslationServiceStub(channel)
            token = issuer.issue("u1", audience_of("translation"))
            answer = await stub.Translate(
                tr.TranslateRequest(text="hola", target_language="en"),
                timeout=5,
                metadata=(("authorization", f"Bearer {token}"),),
            )
            assert answer.text == "hola"
            listed = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
                iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=5
            )
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await listed.read()
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_verifiers_may_have_only_the_public_key(tmp_path: Path) -> None:
    key = load_or_create_key(tmp_path / "there" / "moderation.pem")
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "moderation.pub.pem").write_bytes(pem)
    settings = settings_in(tmp_path, keys_dir=tmp_path / "here")
    signer = Ed25519Signer(key)
    verifier = Keyring(settings, SystemClock()).verifier("moderation")
    verifier.verify(signer.key_id, "t", b"p", signer.sign("t", b"p"))
    (tmp_path / "here" / "moderation.pub.pem").write_text("nothing")
    with pytest.raises(SettingsRefused):
        Keyring(settings, SystemClock()).verifier("moderation")
