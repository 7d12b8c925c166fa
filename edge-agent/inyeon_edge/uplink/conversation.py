"""What the three conversations share: making the stream, telling trouble, ending."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Generic

from inyeon_edge.errors import StreamRefused, UplinkError
from inyeon_edge.uplink.backoff import Backoff
from inyeon_edge.uplink.clock import Clock
from inyeon_edge.uplink.facts import Fact, Linked, Trouble
from inyeon_edge.uplink.outbox import Outbox
from inyeon_edge.uplink.protocol import (
    Req,
    Res,
    StreamOver,
    StreamSpec,
    TokenSource,
    Transport,
)
from inyeon_edge.uplink.sender import Sent
from inyeon_edge.uplink.stream import ResumableStream

Tell = Callable[[Fact], None]


@dataclass(frozen=True, slots=True)
class Line(Generic[Req, Res]):
    """What a conversation needs of the world."""

    transport: Transport[Req, Res]
    tokens: TokenSource
    clock: Clock
    rng: Random
    client_id: str
    tell: Tell


class Conversation(Generic[Req, Res]):
    """Owner of one resumable stream. Derived classes say what its messages mean."""

    def __init__(
        self,
        spec: StreamSpec[Req, Res],
        line: Line[Req, Res],
        outbox: Outbox,
        session_id: str = "",
    ) -> None:
        self._name, self._tell, self._clock = spec.name, line.tell, line.clock
        self.stream: ResumableStream[Req, Res] = ResumableStream(
            spec,
            line.transport,
            outbox,
            line.tokens,
            self,
            line.clock,
            Backoff(line.rng),
            line.client_id,
            session_id,
        )

    async def run(self) -> None:
        """Holds the conversation until it is closed, stopped or opened elsewhere, and says the
        latter."""
        over = await self.stream.run()
        if over is StreamOver.SUPERSEDED:
            message = f"{self._name} was opened elsewhere; this device stops it"
            self._tell(Trouble("ABORTED", "SESSION_SUPERSEDED", "", message, self._name))

    def preamble(self) -> Sequence[Req]:
        """Nothing, unless a conversation has something to say first."""
        return ()

    def opened(self, epoch: int) -> None:
        """Tells that the platform is there."""
        self._tell(Linked(self._name, epoch))

    def acknowledged(self, done: Sequence[Sent], carrier: Res | None) -> None:
        """Nothing, unless a conversation waits for it."""

    def received(self, message: Res) -> None:
        """A message of the platform."""
        raise NotImplementedError

    def troubled(self, error: UplinkError, retry_in_s: float) -> None:
        """Tells what went wrong and when it is tried again."""
        code = error.code if isinstance(error, StreamRefused) else "UNAVAILABLE"
        message = f"{self._name}: {error}"
        self._tell(Trouble(code, error.reason, error.field, message, self._name, retry_in_s))
