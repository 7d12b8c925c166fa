"""Translation in a process of its own loop, and devices that talk through it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from inyeon.runtime.harness import Ports, run
from inyeon.runtime.identity.statements_pb import seal
from inyeon.runtime.identity.tokens import audience_of
from inyeon.runtime.log.envelope import new_event
from inyeon.runtime.log.topics import MATCHES
from inyeon.runtime.service import Ground, Service
from inyeon.runtime.settings import RuntimeSettings
from inyeon.translation import bootstrap
from inyeon.translation.adapters.apertium_place import ApertiumPlace, find
from inyeon.translation.settings import TranslationSettings
from inyeon_protos.common.v1 import stream_pb2
from inyeon_protos.common.v1.identity_pb2 import MatchGrant, SignedStatement
from inyeon_protos.events.v1.events_pb2 import MatchEnded
from inyeon_protos.translation.v1 import translation_pb2 as pb
from inyeon_protos.translation.v1 import translation_pb2_grpc

WAIT_S = 15.0  # every wait ends by then; this machine may be busy
REPOSITORY = Path(__file__).parents[3]
TOOLS = Path(os.environ.get("INYEON_TOOLS_DIR", REPOSITORY / "build" / "tools"))


def apertium_place() -> ApertiumPlace | None:
    """Apertium as `make setup` leaves it."""
    return find(None, TOOLS)


@pytest.fixture(scope="session")
def place() -> ApertiumPlace:
    """Apertium, or a skip that says why; in CI its absence is a failure."""
    found = apertium_place()
    if found is None:
        reason = "Apertium is not installed: python -m inyeon.translation.adapters.apertium_install"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


async def eventually(holds: Callable[[], bool]) -> None:
    """Polls until it holds; TimeoutError after WAIT_S."""
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110 - bounded polling of another task's effect
            await asyncio.sleep(0.01)


class Talker:
    """One person's device: sends, keeps what it is shown, confirms it unless told not to."""

    def __init__(self, platform: Platform, user: str) -> None:
        self.platform = platform
        self.user = user
        self.confirms = True
        self.captions: list[pb.Caption] = []
        self.overs: list[pb.ConversationOver] = []
        self.acknowledged = 0
        self.handled = 0
        self.sequence = 0
        self.sent: dict[int, pb.ConverseRequest] = {}
        self.error: grpc.aio.AioRpcError | None = None
        self._call: Any = None
        self._reader: asyncio.Task[None] | None = None
        self._opened = asyncio.Event()

    async def open(self, session_id: str = "") -> None:
        """Opens or resumes, and sends again what was not acknowledged."""
        self._opened.clear()
        stub = translation_pb2_grpc.TranslationServiceStub(self.platform.channel)
        self._call = stub.Converse(metadata=self.platform.metadata(self.user))
        opening = stream_pb2.StreamOpen(
            client_id=self.user,
            session_id=session_id or f"session-{self.user}",
            resume_after=self.handled,
            protocol_version=1,
        )
        await self._call.write(pb.ConverseRequest(control=stream_pb2.ClientControl(open=opening)))
        self._reader = asyncio.create_task(self._read())
        async with asyncio.timeout(WAIT_S):
            await self._opened.wait()
        for sequence in sorted(n for n in self.sent if n > self.acknowledged):
            await self._call.write(self.sent[sequence])

    async def grant(self, match: str, partner: str, **facts: Any) -> int:
        """Shows a grant of this match."""
        statement = self.platform.grant(match, self.user, partner, **facts)
        grant = pb.ConverseGrant(grant=statement, display_name=self.user.title())
        return await self._send(pb.ConverseRequest(grant=grant))

    async def say(
        self, text: str, segment: str = "", revision: int = 1, *, final: bool = True, hint: str = ""
    ) -> int:
        """Sends a revision; returns its sequence."""
        utterance = pb.Utterance(
            segment_id=segment or f"segment-{self.sequence + 1}",
            revision=revision,
            text=text,
            is_final=final,
            language_hint=hint,
        )
        return await self._send(pb.ConverseRequest(utterance=utterance))

    async def confirm(self, through: int = 0) -> None:
        """Confirms what was shown."""
        self.handled = through or self.handled
        received = stream_pb2.StreamReceived(through=self.handled)
        await self._call.write(
            pb.ConverseRequest(control=stream_pb2.ClientControl(received=received))
        )

    async def cut(self) -> None:
        """The network is gone."""
        if self._call is not None:
            self._call.cancel()
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)

    def texts(self, *, final: bool = True) -> list[str]:
        """What was shown."""
        return [c.text for c in self.captions if c.is_final or not final]

    async def _send(self, message: pb.ConverseRequest) -> int:
        self.sequence += 1
        message.sequence = self.sequence
        self.sent[self.sequence] = message
        await self._call.write(message)
        return self.sequence

    async def _read(self) -> None:
        try:
            async for message in self._call:
                await self._take(message)
        except grpc.aio.AioRpcError as error:
            self.error = error

    async def _take(self, message: pb.ConverseResponse) -> None:
        if message.HasField("control"):
            if message.control.HasField("ack"):
                self.acknowledged = max(self.acknowledged, message.control.ack.through)
            elif message.control.HasField("opened"):
                self.acknowledged = message.control.opened.acknowledged
                self._opened.set()
            return
        if message.WhichOneof("kind") == "caption":
            self.captions.append(message.caption)
        else:
            self.overs.append(message.over)
        if self.confirms:
            await self.confirm(message.sequence)


class Platform:
    """A running process with translation in it."""

    def __init__(self, ground: Ground, ports: Ports, channel: grpc.aio.Channel) -> None:
        self.ground = ground
        self.ports = ports
        self.channel = channel

    def metadata(self, user: str) -> tuple[tuple[str, str], ...]:
        token = self.ground.token_issuer().issue(user, audience_of("translation"))
        return (("authorization", f"Bearer {token}"),)

    def grant(
        self,
        match: str,
        user: str,
        partner: str,
        speaks: tuple[str, ...] = ("en",),
        hears: tuple[str, ...] = ("es",),
        lives_s: float = 120.0,
    ) -> SignedStatement:
        now = datetime.now(UTC)
        fact = MatchGrant(
            match_id=match,
            user_id=user,
            partner_id=partner,
            user_languages=speaks,
            partner_languages=hears,
        )
        fact.issued_at.FromDatetime(now)
        fact.expires_at.FromDatetime(now + timedelta(seconds=lives_s))
        return seal(self.ground.signer("matching"), fact)

    async def end_match(self, match: str, user_a: str, user_b: str) -> None:
        ended = MatchEnded(match_id=match, user_a=user_a, user_b=user_b, version=2)
        event = new_event(MATCHES, match, ended, occurred_at=datetime.now(UTC), version=2)
        await self.ground.log.publish([event])


@asynccontextmanager
async def serving(folder: Path, settings: TranslationSettings) -> AsyncIterator[Platform]:
    """Translation under the real harness, with real ports, store and log."""
    grounds: list[Ground] = []

    async def build(ground: Ground) -> Service:
        grounds.append(ground)
        return await bootstrap.build(settings, ground)

    runtime = RuntimeSettings(
        data_dir=folder / "data", grpc_port=0, internal_port=0, http_port=0, log_level="ERROR"
    )
    stop = asyncio.Event()
    ports: asyncio.Future[Ports] = asyncio.get_running_loop().create_future()
    process = asyncio.create_task(run((build,), runtime, stop=stop, started=ports.set_result))
    try:
        both: set[asyncio.Future[Any]] = {process, ports}
        await asyncio.wait(both, timeout=WAIT_S, return_when=asyncio.FIRST_COMPLETED)
        if process.done():
            process.result()
        bound = ports.result()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{bound.grpc}") as channel:
            yield Platform(grounds[0], bound, channel)
    finally:
        stop.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process, WAIT_S)


@pytest.fixture
def serve() -> Callable[[Path, TranslationSettings], Any]:
    """`async with serve(folder, settings) as platform` is translation with these settings."""
    return serving


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    """Translation with what is installed."""
    settings = TranslationSettings(tools_dir=TOOLS)
    async with serving(tmp_path, settings) as running:
        yield running


@pytest.fixture
async def bare_platform(tmp_path: Path) -> AsyncIterator[Platform]:
    """Translation without Apertium."""
    async with serving(tmp_path, TranslationSettings(apertium=False)) as running:
        yield running


@pytest.fixture
async def talker() -> AsyncIterator[Callable[[Platform, str], Awaitable[Talker]]]:
    """`await talker(platform, user)` makes an open device."""
    async with AsyncExitStack() as stack:

        async def enter(platform: Platform, user: str) -> Talker:
            device = Talker(platform, user)
            stack.push_async_callback(device.cut)
            await device.open()
            return device

        yield enter
