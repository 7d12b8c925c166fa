"""A TCP proxy that misbehaves on request: delays, throttles, swallows, cuts and refuses.

    async with FaultProxy(("127.0.0.1", 9092)) as proxy:
        ...  # clients connect to proxy.port
        proxy.delay(0.2)
        proxy.cut()
        proxy.heal()

A client of Kafka learns the brokers' addresses from the brokers, so these must advertise the
proxy's port. The program starts none and needs no root; one proxy serves one target.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Self

CHUNK_BYTES = 64 * 1024
CONNECT_S = 2.0  # the target is on this machine: it accepts at once or is not there
BACKLOG_CHUNKS = 64  # of one direction of one connection while delayed: 4 MiB, then senders wait


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to bytes on the way. Nothing, by default."""

    delay_s: float = 0.0
    """Added to each direction."""
    bytes_per_s: float = 0.0
    """Of each direction of each connection; 0: as fast as it goes."""
    swallows: bool = False
    """Connections stand and nothing arrives, as when a cable is pulled."""
    refuses: bool = False
    """New connections are closed at once."""


FAIR = Weather()


class FaultProxy:
    """Forwards a port of 127.0.0.1 to a target. Lives in one event loop."""

    def __init__(self, target: tuple[str, int], port: int = 0) -> None:
        self.target = target
        self.port = port
        """Where it listens; 0 takes any free one and is replaced by it."""
        self._weather = FAIR
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self._break()
        await asyncio.gather(*self._links, return_exceptions=True)

    @property
    def connections(self) -> int:
        """How many stand now."""
        return len(self._links)

    def delay(self, seconds: float) -> None:
        """Bytes arrive so much later, in order, from now on."""
        self._become(Weather(delay_s=seconds))

    def throttle(self, bytes_per_s: float) -> None:
        """Bytes arrive no faster than this."""
        self._become(Weather(bytes_per_s=bytes_per_s))

    def blackhole(self) -> None:
        """Nothing arrives any more, and nobody is told. What was swallowed arrives after `heal`,
        as it does when a network comes back before the connection is given up."""
        self._become(Weather(swallows=True))

    def cut(self) -> None:
        """Resets what stands and refuses what comes, until `heal`."""
        self._become(Weather(refuses=True))
        self._break()

    def heal(self) -> None:
        """Fair weather again."""
        self._become(FAIR)

    def _become(self, weather: Weather) -> None:
        self._weather = weather
        self._changed.set()
        self._changed = asyncio.Event()

    def _break(self) -> None:
        for link in self._links:
            link.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.ensure_future(self._link(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await link

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there: asyncio.StreamWriter | None = None
        try:
            if self._weather.refuses:
                return
            async with asyncio.timeout(CONNECT_S):
                back, there = await asyncio.open_connection(*self.target)
            await self._both_ways((reader, there), (back, writer))
        except (OSError, TimeoutError):
            pass  # the target is away: the client sees its connection closed
        finally:
            for one in (writer, there):
                if one is not None:
                    _reset(one)

    async def _both_ways(self, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        """Ends when either side does."""
        tasks = [asyncio.ensure_future(self._forward(*way)) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Reading goes on while earlier bytes are still delayed, or a delay would be a throttle."""
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(BACKLOG_CHUNKS)
        delivering = asyncio.ensure_future(self._deliver(due, writer))
        clock = asyncio.get_running_loop().time
        try:
            while chunk := await reader.read(CHUNK_BYTES):
                await due.put((clock() + self._weather.delay_s, chunk))
            await due.put((0.0, b""))
            await delivering
        finally:
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)

    async def _deliver(
        self, due: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            at, chunk = await due.get()
            if not chunk:
                return
            await asyncio.sleep(at - clock())
            while self._weather.swallows:
                await self._changed.wait()
            writer.write(chunk)
            await writer.drain()
            if self._weather.bytes_per_s:
                await asyncio.sleep(len(chunk) / self._weather.bytes_per_s)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Closes without waiting for what the other side has not read."""
    writer.transport.abort()
