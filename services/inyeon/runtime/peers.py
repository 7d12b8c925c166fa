"""Between replicas: find the stream of a user and hand it a message.

Single process: `LocalPeers`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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


PeerCall = Callable[[str, str, bytes], Awaitable[bool]]
