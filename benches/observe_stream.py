"""Messages a second on the Observe stream of one service process, through gRPC on loopback.

    python benches/observe_stream.py [--json] [--streams N] [--messages N]

Three servers in turn, each in a process of its own, driven by one client in another process:
`moderation`, the real service from the harness with validation, identity, verdicts and group commit
to SQLite; `protocol`, our stream server with validation and a handler that only counts; `plain`, a
bare grpc.aio stream that parses each message and answers every 64th. A message counts when it is
acknowledged. Windows are synthetic and the same for all; the client sends them serialised before
the clock starts. Median of 3 runs; client and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
from figures import Row, progress, report
from prometheus_client import CollectorRegistry

from inyeon.cli.roles import builders
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.harness import Ports, run
from inyeon.runtime.identity.tokens import audience_of
from inyeon.runtime.interceptors import Access, Gate
from inyeon.runtime.keyring import Keyring
from inyeon.runtime.ratelimit import RateLimiter
from inyeon.runtime.settings import RuntimeSettings
from inyeon.runtime.streams.port import CloseReason, Session
from inyeon.runtime.streams.server import StreamServer
from inyeon.runtime.streams.sessions import MemorySessions
from inyeon.runtime.telemetry import RpcMetrics
from inyeon_protos.common.v1 import stream_pb2 as pb
from inyeon_protos.common.v1 import vector_pb2
from inyeon_protos.moderation.v1 import safety_pb2, safety_pb2_grpc

BENCH = "observe_stream"
SERVICE = "inyeon.moderation.v1.SafetyService"
METHOD = f"/{SERVICE}/Observe"
KINDS = ("moderation", "protocol", "plain")
BAR_PER_S = 4000.0
RUNS = 3
ACK_EVERY = 64
START_S = 30.0  # a service starts in under 3 s on an idle machine
RUN_S = 120.0  # 40,000 messages at a tenth of the bar take 100 s


def main() -> int:
    """Runs everything; exit code 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line, nothing else")
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--messages", type=int, default=40_960, help="in all, for each run")
    parser.add_argument("--serve", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return asyncio.run(_serve(arguments.serve, arguments.folder))
    rows = asyncio.run(_measure(arguments.streams, arguments.messages))
    return report(rows, as_json=arguments.json)


async def _measure(streams: int, messages: int) -> list[Row]:
    rows = []
    each = messages // streams // ACK_EVERY * ACK_EVERY  # so that the last one is acknowledged too
    for kind in KINDS:
        rates: list[float] = []
        for number in range(RUNS):
            rates.append(await _one_run(kind, streams, each))
            progress(f"{kind}, run {number + 1} of {RUNS}: {rates[-1]:,.0f} messages/s")
        bar = BAR_PER_S if kind == "moderation" else None
        rows.append(Row(BENCH, kind, statistics.median(rates), "messages/s", bar))
    return rows


async def _one_run(kind: str, streams: int, each: int) -> float:
    """Messages acknowledged a second."""
    with tempfile.TemporaryDirectory(prefix="inyeon-bench-") as name:
        folder = Path(name)
        issuer = Keyring(_settings(folder), SystemClock()).token_issuer()
        tokens = [issuer.issue(f"u{n}", audience_of("moderation")) for n in range(streams)]
        async with (
            _server(kind, folder) as address,
            asyncio.timeout(RUN_S),
            grpc.aio.insecure_channel(address) as channel,
        ):
            devices = [_Device(channel, token, each) for token in tokens]
            await asyncio.gather(*(device.open() for device in devices))
            began = time.perf_counter()
            await asyncio.gather(*(device.talk() for device in devices))
            return streams * each / (time.perf_counter() - began)


@asynccontextmanager
async def _server(kind: str, folder: Path) -> AsyncIterator[str]:
    command = [sys.executable, __file__, "--serve", kind, "--folder", str(folder)]
    log = (folder / "server.log").open("wb")
    child = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=log
    )
    try:
        line = await asyncio.wait_for(_lines_of(child).readline(), START_S)
        if not line:
            raise RuntimeError((folder / "server.log").read_text()[-2000:])
        yield f"127.0.0.1:{json.loads(line)['port']}"
    finally:
        log.close()
        if child.returncode is None:
            child.terminate()
        await asyncio.wait_for(child.wait(), START_S)


def _lines_of(child: asyncio.subprocess.Process) -> asyncio.StreamReader:
    if child.stdout is None:
        raise RuntimeError("the server has no output")
    return child.stdout


class _Device:
    """Sends windows within what may be unacknowledged, and counts acknowledgements."""

    def __init__(self, channel: grpc.aio.Channel, token: str, messages: int) -> None:
        multi: Any = channel.stream_stream(METHOD, None, safety_pb2.ObserveResponse.FromString)
        self._call: Any = multi(metadata=(("authorization", f"Bearer {token}"),))
        self._messages = [window(n).SerializeToString() for n in range(1, messages + 1)]
        self._acknowledged = 0
        self._room = asyncio.Event()
        self._in_flight = 0

    async def open(self) -> None:
        opening = pb.StreamOpen(client_id="bench", session_id=f"s{id(self)}", protocol_version=1)
        request = safety_pb2.ObserveRequest(control=pb.ClientControl(open=opening))
        await self._call.write(request.SerializeToString())
        self._in_flight = (await self._call.read()).control.opened.max_in_flight

    async def talk(self) -> None:
        try:
            await asyncio.gather(self._send(), self._count())
        finally:
            self._call.cancel()

    async def _send(self) -> None:
        for sequence, message in enumerate(self._messages, start=1):
            while sequence - self._acknowledged > self._in_flight:
                self._room.clear()
                await self._room.wait()
            await self._call.write(message)

    async def _count(self) -> None:
        while self._acknowledged < len(self._messages):
            answer = await self._call.read()
            if answer is grpc.aio.EOF:
                raise RuntimeError("the stream ended early")
            self._acknowledged = max(self._acknowledged, answer.control.ack.through)
            self._room.set()


def window(sequence: int) -> safety_pb2.ObserveRequest:
    """One second of a calm picture: every field that a real device fills, 300 bytes or so."""
    request = safety_pb2.ObserveRequest(sequence=sequence)
    seen = request.window
    seen.subject = safety_pb2.OBSERVED_SUBJECT_MYSELF
    seen.started_at.FromMilliseconds(int(time.time() * 1000))
    seen.duration.FromTimedelta(timedelta(seconds=1))
    seen.presence = safety_pb2.PRESENCE_STATE_ALONE
    seen.presence_share = 1.0
    seen.scores.model, seen.scores.version, seen.scores.frames = "mobilenet_v2", "1", 2
    seen.scores.mean.extend([0.01, 0.01, 0.96, 0.01, 0.01])
    seen.scores.max.extend([0.02, 0.01, 0.97, 0.01, 0.01])
    seen.quality.brightness, seen.quality.sharpness, seen.quality.frame_rate = 0.5, 120.0, 15.0
    space = seen.embedding.space
    space.model, space.version, space.dims = "mobilenet_v2", "1", 64
    space.encoding = vector_pb2.VECTOR_ENCODING_INT8_SCALED
    seen.embedding.data = b"\x0a\xd7\x23\x3c" + bytes(64)
    seen.perceptual_hash = bytes(8)
    return request


def _settings(folder: Path) -> RuntimeSettings:
    return RuntimeSettings(
        data_dir=folder, grpc_port=0, internal_port=0, http_port=0, log_level="WARNING"
    )


async def _serve(kind: str, folder: Path) -> int:
    if kind == "moderation":
        return await run(builders(("moderation",)), _settings(folder), started=_tell_ports)
    handler = _plain_handler() if kind == "plain" else None
    server = grpc.aio.server(interceptors=[] if handler else [_gate(folder)])
    if handler:
        server.add_generic_rpc_handlers([handler])
    else:
        counting: Any = _Counting  # Observe is all that is asked of it
        servicer = counting(_stream_server(folder))
        safety_pb2_grpc.add_SafetyServiceServicer_to_server(servicer, server)
    _tell(server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    await server.wait_for_termination()
    return 0


def _tell_ports(ports: Ports) -> None:
    _tell(ports.grpc)


def _tell(port: int) -> None:
    sys.stdout.write(json.dumps({"port": port}) + "\n")
    sys.stdout.flush()


def _gate(folder: Path) -> Gate:
    clock = SystemClock()
    verifier = Keyring(_settings(folder), clock).token_verifier()
    access = Access({SERVICE: audience_of("moderation")})
    return Gate(access, verifier, RateLimiter(clock), RpcMetrics(CollectorRegistry()))


def _stream_server(folder: Path) -> StreamServer[Any, safety_pb2.ObserveResponse]:
    clock = SystemClock()
    verifier = Keyring(_settings(folder), clock).token_verifier()
    response = safety_pb2.ObserveResponse
    return StreamServer("observe", response, _Counter(), MemorySessions(clock), clock, verifier)


class _Counter:
    """Acknowledges every 64th message and nothing else: no verdict, no database."""

    async def opened(self, session: Session[Any]) -> None: ...

    async def received(self, session: Session[Any], sequence: int, message: Any) -> None:
        if sequence % ACK_EVERY == 0:
            session.tell_acknowledged(sequence)

    async def client_received(self, session: Session[Any], through: int) -> None: ...

    async def closed(self, session: Session[Any], reason: CloseReason) -> None: ...


class _Counting(safety_pb2_grpc.SafetyServiceServicer):
    def __init__(self, streams: StreamServer[Any, safety_pb2.ObserveResponse]) -> None:
        self._streams = streams

    async def Observe(
        self, request_iterator: Any, context: Any
    ) -> AsyncIterator[safety_pb2.ObserveResponse]:
        async for answer in self._streams.serve(request_iterator, context):
            yield answer


def _plain_handler() -> grpc.GenericRpcHandler:
    behaviour = grpc.stream_stream_rpc_method_handler(
        _plain_observe,
        request_deserializer=safety_pb2.ObserveRequest.FromString,
        response_serializer=safety_pb2.ObserveResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(SERVICE, {"Observe": behaviour})


async def _plain_observe(requests: Any, context: Any) -> AsyncIterator[safety_pb2.ObserveResponse]:
    async for request in requests:
        answer = safety_pb2.ObserveResponse()
        if request.HasField("control"):
            answer.control.opened.max_in_flight = 256
            yield answer
        elif request.sequence % ACK_EVERY == 0:
            answer.control.ack.through = request.sequence
            yield answer


if __name__ == "__main__":
    sys.exit(main())
