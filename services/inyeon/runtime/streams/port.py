"""What a service implements to speak the stream protocol, and what it is given.

The server (`server.py`) owns opening, epochs, sequence numbers, cumulative acknowledgements, token
renewal, age and draining. A service owns only what its messages mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from inyeon.runtime.identity.claims import Claims

Req = TypeVar("Req", bound=Message, contravariant=True)
Out = TypeVar("Out", bound=Message, contravariant=True)
Sent = TypeVar("Sent", bound=Message, covariant=True)


class CloseReason(Enum):
    """Why a stream is over, as the handler learns it."""

    CLIENT_CLOSED = "client closed the session for good"
    DISCONNECTED = "the connection broke; the session may resume"
    AGE = "ended by age; the session will resume"
    TOKEN_EXPIRED = "the token ended; the session may resume"  # noqa: S105 - a reason, not a secret
    SUPERSEDED = "opened elsewhere with a higher epoch"
    DRAINING = "this replica goes away; the session will resume"
    FAILED = "a message was refused or the handler raised"


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """Who is at the other end."""

    stream: str
    """Name of the stream: observe, seek or converse."""
    user_id: str
    client_id: str
    session_id: str
    epoch: int
    resumed: bool
    """The session existed before this stream."""
    resume_after: int
    """Last server sequence that the device has handled."""
    agent_version: str


class Session(Protocol[Out]):
    """A live stream, as its handler sees it. Methods may be called from any task of the loop."""

    @property
    def info(self) -> SessionInfo:
        """Who is at the other end."""
        ...

    @property
    def claims(self) -> Claims:
        """Claims of the newest token."""
        ...

    @property
    def received_by_client(self) -> int:
        """Highest server sequence that the device has acknowledged (StreamReceived)."""
        ...

    def send(self, message: Out) -> int:
        """Queues a message, sets its sequence and returns it. Raises SessionOver; a full queue ends
        the stream.
        """
        ...

    async def acknowledge(self, through: int, carrier: Out | None = None) -> None:
        """Makes `through` durable for the session's epoch, then tells the device. `carrier` may
        hold fields that ride on the acknowledgement (the safety pass). Raises SessionSuperseded
        when the epoch is no longer this one.
        """
        ...

    def tell_acknowledged(self, through: int, carrier: Out | None = None) -> None:
        """Only tells the device; for a service that made `through` durable itself (`record` of the
        session store, in a transaction of many sessions). Does nothing once the stream is over.
        """
        ...

    def end(self, reason: CloseReason) -> None:
        """Ends the stream from the service's side."""
        ...


class StreamHandler(Protocol[Req, Sent]):
    """What a service does with one kind of stream. One instance serves all sessions."""

    async def opened(self, session: Session[Sent]) -> None:
        """After StreamOpened was sent: send the current state. Raises to refuse the stream."""
        ...

    async def received(self, session: Session[Sent], sequence: int, message: Req) -> None:
        """A message, in order, each sequence at most once in an epoch; validated. Awaited before
        the next one is read, so a slow handler slows its own device only. Acknowledge when the
        stream's meaning of it is fulfilled, now or later.
        """
        ...

    async def client_received(self, session: Session[Sent], through: int) -> None:
        """The device has handled server messages up to `through`."""
        ...

    async def closed(self, session: Session[Sent], reason: CloseReason) -> None:
        """Always called once for each opened session; no `send` any more."""
        ...
