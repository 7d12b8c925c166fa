"""Helpers of the agent's tests: a small platform over real gRPC, and where the models are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from inyeon_protos.common.v1.identity_pb2 import SafetyPass, SignedStatement
from inyeon_protos.edge.v1 import edge_pb2, edge_pb2_grpc
from inyeon_protos.matching.v1 import matching_pb2, matching_pb2_grpc
from inyeon_protos.moderation.v1 import safety_pb2, safety_pb2_grpc
from inyeon_protos.translation.v1 import translation_pb2, translation_pb2_grpc

GRANT = SignedStatement(key_id="k", payload=b"grant", signature=b"s" * 64)


async def until(condition: Callable[[], bool], limit_s: float = 40.0) -> None:
    """Waits, within a bound, until the condition holds."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - a bounded poll
            await asyncio.sleep(0.02)


def models_dir() -> Path:
    """The folder of built models; skips where there is none."""
    default = Path(__file__).parents[3] / "build" / "models"
    folder = Path(os.environ.get("INYEON_MODELS_DIR", default))
    if not (folder / "index.json").exists():
        if os.environ.get("CI"):
            pytest.fail(f"no models in {folder}")
        pytest.skip(f"no models in {folder}: run inyeon-models build")
    return folder


class SmallPlatform(
    edge_pb2_grpc.DevelopmentIdentityServiceServicer,
    safety_pb2_grpc.SafetyServiceServicer,
    matching_pb2_grpc.MatchingServiceServicer,
    translation_pb2_grpc.TranslationServiceServicer,
    edge_pb2_grpc.SignallingServiceServicer,
):
    """Opens every stream, acknowledges everything, matches when asked to."""

    def __init__(self) -> None:
        self.windows: list[Any] = []
        self.said: list[Any] = []
        self.sought: list[str] = []
        self.tokens: set[str] = set()
        self.signals: list[str] = []
        self.to_seek: asyncio.Queue[Any] = asyncio.Queue()
        self.to_observe: asyncio.Queue[Any] = asyncio.Queue()
        self.refuse_signal = False

    async def IssueToken(self, request: Any, context: Any) -> Any:
        answer = edge_pb2.IssueTokenResponse(subject=request.subject)
        for name in ("matching", "moderation", "translation", "gateway"):
            answer.tokens[f"inyeon-{name}"] = f"token-{name}"
        answer.expires_in.FromTimedelta(timedelta(minutes=15))
        return answer

    async def Report(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def Block(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def Translate(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def Detect(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def Observe(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        self._remember(context)
        response = safety_pb2.ObserveResponse
        async for each in self._talk(request_iterator, response, self.to_observe, self._observed):
            yield each

    async def Seek(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        self._remember(context)
        response = matching_pb2.SeekResponse
        async for each in self._talk(request_iterator, response, self.to_seek, self._seeks):
            yield each

    async def Converse(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        self._remember(context)
        response = translation_pb2.ConverseResponse
        queue: asyncio.Queue[Any] = asyncio.Queue()
        async for each in self._talk(request_iterator, response, queue, self._says):
            yield each

    async def Signal(self, request_iterator: Any, context: Any) -> AsyncIterator[Any]:
        self._remember(context)
        if self.refuse_signal:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "foreign grant")
        here = edge_pb2.PartnerPresent(match_id="m1")
        async for request in request_iterator:
            self.signals.append(str(request.WhichOneof("kind")))
            if request.HasField("grant"):
                yield edge_pb2.SignalResponse(partner_present=here)
                yield edge_pb2.SignalResponse(partner_gone=edge_pb2.PartnerGone(match_id="m1"))
                yield edge_pb2.SignalResponse()

    def match(self) -> None:
        """Tells the device of a match."""
        card = matching_pb2.PartnerCard(partner_id="other")
        matched = matching_pb2.Matched(match_id="m1", grant=GRANT, partner=card, offers=True)
        self.to_seek.put_nowait(matching_pb2.SeekResponse(matched=matched))

    def _remember(self, context: Any) -> None:
        self.tokens.add(str(dict(context.invocation_metadata())["authorization"]))

    def _observed(self, message: Any, response: Any) -> None:
        self.windows.append(message.window)
        content = SafetyPass(user_id="u", session_id="s", policy_version="p")
        content.issued_at.FromSeconds(1000)
        content.expires_at.FromSeconds(1030)
        response.safety_pass.CopyFrom(
            SignedStatement(key_id="k", payload=content.SerializeToString(), signature=b"s" * 64)
        )

    def _seeks(self, message: Any, response: Any) -> None:
        self.sought.append(str(message.WhichOneof("kind")))
        if message.HasField("end_match"):
            over = matching_pb2.MatchOver(match_id="m1", reason=message.end_match.reason)
            self.to_seek.put_nowait(matching_pb2.SeekResponse(match_over=over))

    def _says(self, message: Any, response: Any) -> None:
        if message.HasField("utterance"):
            self.said.append(message.utterance)

    async def _talk(
        self, requests: Any, response: Any, queue: asyncio.Queue[Any], take: Any
    ) -> AsyncIterator[Any]:
        """Opens, acknowledges each message, says what is queued."""
        reading = asyncio.create_task(self._read(requests, response, queue, take))
        sequence = 0
        try:
            while (message := await queue.get()) is not None:
                if not message.HasField("control"):
                    sequence += 1
                    message.sequence = sequence
                yield message
        finally:
            reading.cancel()

    async def _read(self, requests: Any, response: Any, queue: Any, take: Any) -> None:
        async for message in requests:
            answer = response()
            kind = message.control.WhichOneof("kind")
            if kind == "open":
                answer.control.opened.epoch, answer.control.opened.max_in_flight = 1, 64
                answer.control.opened.token_expires_in.FromTimedelta(timedelta(minutes=15))
                queue.put_nowait(answer)
            elif kind == "close":
                answer.control.ending.reason = 5
                queue.put_nowait(answer)
            elif kind is None:
                answer.control.ack.through = message.sequence
                take(message, answer)
                queue.put_nowait(answer)


@pytest.fixture
async def platform() -> AsyncIterator[tuple[SmallPlatform, str]]:
    """The platform and its endpoint."""
    services = SmallPlatform()
    server = grpc.aio.server()
    edge_pb2_grpc.add_DevelopmentIdentityServiceServicer_to_server(services, server)
    safety_pb2_grpc.add_SafetyServiceServicer_to_server(services, server)
    matching_pb2_grpc.add_MatchingServiceServicer_to_server(services, server)
    translation_pb2_grpc.add_TranslationServiceServicer_to_server(services, server)
    edge_pb2_grpc.add_SignallingServiceServicer_to_server(services, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield services, f"127.0.0.1:{port}"
    await server.stop(0.2)
