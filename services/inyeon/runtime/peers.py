"""Between replicas: find the stream of a user and hand it a message, or ask another replica.

Single process: `LocalPeers`. Several: `RemotePeers` (`peers_grpc`) over a static list.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

Delivery = Callable[[str, bytes], bool]
"""(protobuf full name, serialised message) -> taken. Given by the handler that holds the user's
stream.
"""

Answer = Callable[[bytes], Awaitable[bytes]]
"""Answers a question of another replica of the same service. What it raises, the asker sees as no
answer."""


class Peers(Protocol):
    """Streams that this replica holds, and a way to those of others."""

    @property
    def others(self) -> tuple[str, ...]:
        """Addresses of the other replicas, dead ones included."""
        ...

    def answer(self, answer: Answer) -> None:
        """Says how questions of other replicas are answered from now on."""
        ...

    async def ask(self, address: str, payload: bytes, timeout_s: float) -> bytes | None:
        """Asks one of the others; None where no answer came in time. The question may have been
        answered all the same."""
        ...

    def hold(self, user_id: str, epoch: int, deliver: Delivery) -> None:
        """This replica now holds the user's stream; a lower epoch does not replace a higher one."""
        ...

    def release(self, user_id: str, epoch: int) -> None:
        """The stream is gone; does nothing when a higher epoch took over."""
        ...

    def deliver_here(self, user_id: str, epoch: int, type_name: str, payload: bytes) -> bool:
        """Hands over to a stream that this replica holds with this epoch, 0 takes any; nobody is
        asked whether a newer one is elsewhere. False where there is none."""
        ...

    async def deliver(self, user_id: str, type_name: str, payload: bytes) -> bool:
        """Hands a message to the user's stream wherever it is, within 1 s; False when there is
        none.
        """
        ...


class LocalPeers:
    """The streams held in this process, and no others."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, Delivery]] = {}
        self._answer: Answer | None = None

    @property
    def others(self) -> tuple[str, ...]:
        return ()

    def answer(self, answer: Answer) -> None:
        self._answer = answer

    async def ask(self, address: str, payload: bytes, timeout_s: float) -> bytes | None:
        return None

    async def answer_here(self, payload: bytes) -> bytes | None:
        """Answers a question of another replica; None before anybody said how."""
        return None if self._answer is None else await self._answer(payload)

    def hold(self, user_id: str, epoch: int, deliver: Delivery) -> None:
        held = self._held.get(user_id)
        if held is None or held[0] <= epoch:
            self._held[user_id] = (epoch, deliver)

    def release(self, user_id: str, epoch: int) -> None:
        held = self._held.get(user_id)
        if held is not None and held[0] <= epoch:
            del self._held[user_id]

    async def deliver(self, user_id: str, type_name: str, payload: bytes) -> bool:
        return self.deliver_here(user_id, 0, type_name, payload)

    def epoch_of(self, user_id: str) -> int | None:
        """Epoch of the user's stream here, or None."""
        held = self._held.get(user_id)
        return None if held is None else held[0]

    def deliver_here(self, user_id: str, epoch: int, type_name: str, payload: bytes) -> bool:
        """Hands over to a stream held here with this epoch; 0 takes any."""
        held = self._held.get(user_id)
        if held is None or epoch not in (0, held[0]):
            return False
        return held[1](type_name, payload)
