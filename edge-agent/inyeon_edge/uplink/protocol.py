"""The seams of a resumable stream: its messages, its connections, its owner, its tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from inyeon_edge.errors import UplinkError
from inyeon_edge.uplink.sender import Sent
from inyeon_protos.common.v1.stream_pb2 import ClientControl, ServerControl

PROTOCOL_VERSION = 1


class ClientMessage(Protocol):
    """A generated request of one of the three streams."""

    sequence: int

    @property
    def control(self) -> ClientControl: ...
    def SerializeToString(self) -> bytes: ...
    def ParseFromString(self, serialized: bytes) -> int: ...


class ServerMessage(Protocol):
    """A generated response of one of the three streams."""

    sequence: int

    @property
    def control(self) -> ServerControl: ...
    def HasField(self, field_name: Any) -> bool: ...


Req = TypeVar("Req", bound=ClientMessage)
Res = TypeVar("Res", bound=ServerMessage)
ReqIn = TypeVar("ReqIn", bound=ClientMessage, contravariant=True)
ReqOut = TypeVar("ReqOut", bound=ClientMessage, covariant=True)
ResIn = TypeVar("ResIn", bound=ServerMessage, contravariant=True)
ResOut = TypeVar("ResOut", bound=ServerMessage, covariant=True)


class Connection(Protocol[ReqIn, ResOut]):
    """One call. One task writes, one reads; `cancel` may come at any time and more than once."""

    async def write(self, message: ReqIn) -> None:
        """Hands a message to the transport. Raises StreamBroken or StreamRefused."""
        ...

    async def read(self) -> ResOut | None:
        """The next message; None when the platform ended the call without an error. Raises
        StreamBroken, or StreamRefused where the platform said why."""
        ...

    def cancel(self) -> None:
        """Ends the call on both sides."""
        ...


class Transport(Protocol[ReqIn, ResOut]):
    """Opens calls of one stream."""

    def open(self, token: str) -> Connection[ReqIn, ResOut]:
        """Starts a call with a bearer token; failures show at the first read or write."""
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token."""

    value: str
    ends_at_s: float
    """Monotonic time at which it ends."""


class TokenSource(Protocol):
    """Knows the person's tokens."""

    async def token(self, audience: str, left_s: float = 0.0) -> Token:
        """A token that lives at least `left_s` longer, where the platform can give one. Raises
        StreamBroken while the platform is away and StreamRefused when it will not give a token."""
        ...

    def discard(self, audience: str) -> None:
        """The platform did not take the token: the next one must be new."""
        ...


class StreamEvents(Protocol[ReqOut, ResIn]):
    """What the owner of a stream does with it. Called from the loop; must not block it."""

    def preamble(self) -> Sequence[ReqOut]:
        """Messages to say first on each connection, such as the grant."""
        ...

    def opened(self, epoch: int) -> None:
        """The platform answered to open; the current state follows."""
        ...

    def received(self, message: ResIn) -> None:
        """A message of the platform, each once; afterwards it counts as handled."""
        ...

    def acknowledged(self, done: Sequence[Sent], carrier: ResIn | None) -> None:
        """These kept messages are done. `carrier` is the acknowledgement itself, where it was
        received."""
        ...

    def troubled(self, error: UplinkError, retry_in_s: float) -> None:
        """The connection broke or was refused; the next try follows in `retry_in_s`."""
        ...


class StreamOver(Enum):
    """Why a stream will not come back."""

    CLOSED = "closed by this device"
    SUPERSEDED = "the session was opened elsewhere"


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Times of a stream, in seconds."""

    open_s: float = (
        10.0  # TCP, TLS and the epoch's write on a busy store; a healthy open takes < 0.1 s
    )
    write_s: float = 10.0  # flow control that stays shut longer is a dead connection
    ack_stall_s: float | None = 20.0
    """Nothing acknowledged for so long though something is in flight: half open. 40 group commits
    of 500 ms. None where an acknowledgement waits for another person."""
    renew_at: float = 0.75  # of the token's life: 15 min leave 3.75 min for retries
    close_s: float = 1.5  # of the agent's 5 s to stop; three streams close side by side


@dataclass(frozen=True, slots=True)
class StreamSpec(Generic[Req, Res]):
    """What differs between the three streams."""

    name: str
    audience: str
    request: Callable[[], Req]
    settings: StreamSettings = StreamSettings()
