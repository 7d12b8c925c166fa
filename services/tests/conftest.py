"""A tiny device for tests of streams: says exactly what it is told, right or wrong."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import MetaData

from inyeon.runtime.clock import Clock
from inyeon.runtime.store.sql import SqlStore, temporary_store
from inyeon_protos.common.v1 import stream_pb2 as pb

READ_S = 5.0  # every wait of these tests ends by then, with TimeoutError


class Device:
    """One stream of the protocol from the other end."""

    def __init__(self, call: Any, request_type: type[Message]) -> None:
        self._call = call
        self._request_type: Any = request_type

    async def control(self, **kind: Any) -> None:
        """Says something about the stream itself."""
        await self.write(self._request_type(control=pb.ClientControl(**kind)))

    async def open(self, session_id: str = "s1", resume_after: int = 0, **other: Any) -> None:
        """First message."""
        facts: dict[str, Any] = {"client_id": "c1", "protocol_version": 1} | other
        opening = pb.StreamOpen(session_id=session_id, resume_after=resume_after, **facts)
        await self.control(open=opening)

    async def opened(self, session_id: str = "s1", **other: Any) -> pb.StreamOpened:
        """Opens and returns the answer."""
        await self.open(session_id, **other)
        answer = await self.read()
        assert answer.control.HasField("opened"), answer
        opened: pb.StreamOpened = answer.control.opened
        return opened

    async def write(self, message: Message) -> None:
        """Sends any message."""
        async with asyncio.timeout(READ_S):
            await self._call.write(message)

    async def half_close(self) -> None:
        """Sends nothing any more, without closing the session."""
        await self._call.done_writing()

    async def read(self) -> Any:
        """Next message; the status as an AioRpcError; None at the end of a stream that is OK."""
        async with asyncio.timeout(READ_S):
            message = await self._call.read()
        return None if message is grpc.aio.EOF else message

    async def ack(self, through: int) -> None:
        """Reads until this much is acknowledged."""
        while (message := await self.read()) is not None:
            if message.control.ack.through >= through:
                return
        raise AssertionError("the stream ended first")

    async def ending(self) -> pb.StreamEnding:
        """Reads until the stream ends on purpose."""
        while (message := await self.read()) is not None:
            if message.control.HasField("ending"):
                assert await self.read() is None
                ending: pb.StreamEnding = message.control.ending
                return ending
        raise AssertionError("the stream ended without a reason")

    async def refusal(self) -> tuple[grpc.StatusCode, str, str]:
        """(code, reason, field) of the status with which the stream ends."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            while await self.read() is not None:
                pass
        return refusal_of(caught.value)

    def cut(self) -> None:
        """The network is gone."""
        self._call.cancel()


def refusal_of(error: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str, str]:
    """(code, reason, field) of an error, as ErrorInfo tells them."""
    info = detail_of(error, error_details_pb2.ErrorInfo)
    assert info.domain == "inyeon"
    return error.code(), info.reason, info.metadata.get("field", "")


def detail_of(error: grpc.aio.AioRpcError, kind: type[Any]) -> Any:
    """The first detail of a kind in a status."""
    status = rpc_status.from_call(error)
    assert status is not None, error
    for packed in status.details:
        detail = kind()
        if packed.Unpack(detail):
            return detail
    raise AssertionError(f"no {kind.__name__} in {status}")


@pytest.fixture
def refusal() -> Callable[[grpc.aio.AioRpcError], tuple[grpc.StatusCode, str, str]]:
    return refusal_of


@pytest.fixture
def detail() -> Callable[[grpc.aio.AioRpcError, type[Any]], Any]:
    return detail_of


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Any]]:
    """`connect(address, method, request_type, response_type, token)` makes a Device."""

    @asynccontextmanager
    async def device(
        address: str, method: str, request: type[Any], response: type[Any], token: str
    ) -> AsyncIterator[Device]:
        metadata = [("authorization", f"Bearer {token}")] if token else []
        async with grpc.aio.insecure_channel(address) as channel:
            multi = channel.stream_stream(
                method,
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString,
            )
            call = multi(metadata=metadata)
            try:
                yield Device(call, request)
            finally:
                call.cancel()

    async with AsyncExitStack() as stack:

        async def enter(*what: Any) -> Device:
            return await stack.enter_async_context(device(*what))

        yield enter


OpenStore = Callable[..., AbstractAsyncContextManager[SqlStore]]
"""`(tables, clock=None, migrations=None)`, an empty store that is gone after the block."""


@pytest.fixture
def engine() -> str:
    """The engine of `open_store`. A module that must hold on both overrides it with parameters."""
    return "sqlite"


@pytest.fixture
def open_store(engine: str, request: pytest.FixtureRequest) -> OpenStore:
    """Opens empty stores on the engine."""
    if engine == "sqlite":
        return temporary_store
    database: Callable[[], AbstractAsyncContextManager[str]] = request.getfixturevalue("database")

    @asynccontextmanager
    async def opened(
        tables: MetaData, clock: Clock | None = None, migrations: Path | None = None
    ) -> AsyncIterator[SqlStore]:
        async with database() as url:
            store = await SqlStore.open(
                url, tables, migrations=migrations, name="twin", clock=clock, connections=5
            )
            try:
                yield store
            finally:
                await store.close()

    return opened


@pytest.fixture
def database(postgres: Any) -> Callable[[], AbstractAsyncContextManager[str]]:
    """Makes empty databases on PostgreSQL and gives their URLs."""

    @asynccontextmanager
    async def made() -> AsyncIterator[str]:
        name = f"test_{uuid.uuid4().hex}"
        await _execute(postgres.url("postgres"), f"CREATE DATABASE {name}")
        try:
            yield postgres.url(name)
        finally:
            await _execute(postgres.url("postgres"), f"DROP DATABASE {name} WITH (FORCE)")

    return made


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=READ_S)
    try:
        await connection.execute(statement, timeout=READ_S)
    finally:
        await connection.close()
