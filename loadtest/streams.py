"""A thin synchronous client of the stream protocol for load: one greenlet reads, callers send.

It does not resume: a stream that breaks under load is counted as a failure.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import grpc

from inyeon_protos.common.v1 import stream_pb2

Req = TypeVar("Req")
Res = TypeVar("Res")


class LoadStream(Generic[Req, Res]):
    """One stream. `heard` is called for each message that is not about the stream itself."""

    def __init__(
        self,
        method: Callable[..., Any],
        request_type: Callable[..., Req],
        token: str,
        ids: tuple[str, str],
        heard: Callable[[Res], None],
        acknowledged: Callable[[int], None],
    ) -> None:
        self._out: queue.Queue[Req | None] = queue.Queue(maxsize=64)
        self._request_type = request_type
        self._heard = heard
        self._acknowledged = acknowledged
        self._sequence = 0
        self.opened = threading.Event()
        self.failure = ""
        client_id, session_id = ids
        opening = stream_pb2.StreamOpen(
            client_id=client_id, session_id=session_id, protocol_version=1, agent_version="load/1"
        )
        self._out.put(request_type(control=stream_pb2.ClientControl(open=opening)))
        self._call = method(
            iter(self._requests()), metadata=(("authorization", f"Bearer {token}"),)
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, **payload: Any) -> int:
        """Queues a message; its sequence."""
        self._sequence += 1
        self._out.put(self._request_type(sequence=self._sequence, **payload))
        return self._sequence

    def received(self, through: int) -> None:
        """Tells the server what was handled."""
        done = stream_pb2.StreamReceived(through=through)
        self._out.put(self._request_type(control=stream_pb2.ClientControl(received=done)))

    def close(self) -> None:
        """Ends the call; nothing of it stays behind."""
        self._out.put(None)
        self._call.cancel()

    def _requests(self) -> Iterator[Req]:
        while (message := self._out.get()) is not None:
            yield message

    def _read(self) -> None:
        try:
            for message in self._call:
                self._take(message)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.CANCELLED:
                self.failure = f"{error.code().name}: {error.details()}"

    def _take(self, message: Any) -> None:
        if not message.HasField("control"):
            self._heard(message)
            return
        kind = message.control.WhichOneof("kind")
        if kind == "opened":
            self.opened.set()
        elif kind == "ack":
            self._acknowledged(message.control.ack.through)
            self._heard(message)
