"""The fault proxy on real sockets: each kind of weather, and the way back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from inyeon_chaos.proxy import FaultProxy

pytestmark = pytest.mark.unit

WAIT_S = 10.0
NOTHING_S = 0.3  # nothing must arrive within it; what does arrive on loopback takes 1 ms


class Echo:
    """A server that says everything again."""

    def __init__(self) -> None:
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1 << 16):
                writer.write(chunk)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


class Caller:
    """One connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, said: bytes) -> bytes:
        self.writer.write(said)
        await self.writer.drain()
        async with asyncio.timeout(WAIT_S):
            return await self.reader.readexactly(len(said))

    async def is_closed(self) -> bool:
        async with asyncio.timeout(WAIT_S):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True


Connect = Callable[[], Awaitable[Caller]]


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    made = Echo()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(("127.0.0.1", echo.port)) as made:
        yield made


@pytest.fixture
async def connect(proxy: FaultProxy) -> AsyncIterator[Connect]:
    made: list[Caller] = []

    async def connect() -> Caller:
        made.append(Caller(*await asyncio.open_connection("127.0.0.1", proxy.port)))
        return made[-1]

    yield connect
    for caller in made:
        caller.writer.close()


async def test_fair_weather_passes_everything_both_ways(
    proxy: FaultProxy, connect: Connect
) -> None:
    caller = await connect()
    assert await caller.ask(b"hello") == b"hello"
    large = bytes(range(256)) * 4_096
    assert await caller.ask(large) == large
    assert proxy.connections == 1


async def test_delay_is_added_to_each_direction_and_keeps_order(
    proxy: FaultProxy, connect: Connect
) -> None:
    caller = await connect()
    proxy.delay(0.1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    answers = b""
    for word in (b"one", b"two", b"six"):
        caller.writer.write(word)
        await asyncio.sleep(0)
    async with asyncio.timeout(WAIT_S):
        answers = await caller.reader.readexactly(9)
    assert answers == b"onetwosix"
    assert loop.time() - began >= 0.2


async def test_throttle_bounds_the_rate(proxy: FaultProxy, connect: Connect) -> None:
    caller = await connect()
    await caller.ask(b"warm")
    proxy.throttle(100_000)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(3):
        await caller.ask(bytes(10_000))
    # The pause comes after each chunk: of the third question only the way there has been paid for.
    assert loop.time() - began >= 0.2


async def test_blackhole_says_nothing_and_delivers_when_healed(
    proxy: FaultProxy, connect: Connect
) -> None:
    caller = await connect()
    await caller.ask(b"warm")
    proxy.blackhole()
    asking = asyncio.ensure_future(caller.ask(b"lost?"))
    await asyncio.wait([asking], timeout=NOTHING_S)
    assert not asking.done()
    proxy.heal()
    assert await asking == b"lost?"


async def test_cut_breaks_what_stands_and_refuses_what_comes(
    proxy: FaultProxy, connect: Connect
) -> None:
    caller = await connect()
    await caller.ask(b"warm")
    proxy.cut()
    assert await caller.is_closed()
    assert await (await connect()).is_closed()
    proxy.heal()
    assert await (await connect()).ask(b"back") == b"back"


async def test_a_target_that_is_away_closes_and_may_come_back(
    echo: Echo, proxy: FaultProxy, connect: Connect
) -> None:
    await echo.stop()
    assert await (await connect()).is_closed()
    await echo.start()
    assert await (await connect()).ask(b"back") == b"back"


async def test_nothing_stays_behind(proxy: FaultProxy, connect: Connect) -> None:
    callers = [await connect() for _ in range(5)]
    for caller in callers:
        await caller.ask(b"here")
    proxy.blackhole()
    await proxy.__aexit__()
    assert proxy.connections == 0
    assert all([await caller.is_closed() for caller in callers])
