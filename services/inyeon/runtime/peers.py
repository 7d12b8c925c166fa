"""Between replicas: find the stream of a user and hand it a message.

Single process: `LocalPeers`. Several: `RemotePeers` (`peers_grpc`) over a static list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Delivery = Callable[[str, bytes], bool]
"""(protobuf full name, serialised message) -> taken. Given by the handler that holds the user's
stream.
"""


class Peers(Protocol):
    """Streams that this replica holds, and a way to those of others."""

    def hold(self, user_id: str, epoch: int, deliver: Delivery) -> None:
        """This replica now holds the user's stream; a lower epoch does not replace a higher one."""
        ...

    def release(self, user_id: str, epoch: int) -> None:
        """The stream is gone; does nothing when a higher epoch took over."""
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
