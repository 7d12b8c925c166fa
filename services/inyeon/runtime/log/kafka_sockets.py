"""Sockets that are closed when they do not connect.

The library (3.0.12) drops them open: while a broker is away every attempt leaves one until the
garbage collector comes by, and a process has some attempts a second.
"""

from __future__ import annotations

import socket
from typing import Any, ClassVar

from kafka.net.inet import KafkaNetSocket

DIRECT = "inyeon-direct://"
"""As a client's `proxy_url`: no proxy, our sockets."""


class ClosingSockets(KafkaNetSocket):  # type: ignore[misc]
    """Makes the connections of clients whose `proxy_url` is DIRECT."""

    SCHEMES: ClassVar[tuple[str, ...]] = (DIRECT.removesuffix("://"),)

    async def sock_connect(
        self, net: Any, sock: socket.socket, sockaddr: Any, timeout_at: float | None = None
    ) -> socket.socket:
        """The connected socket. Raises KafkaError."""
        try:
            connected: socket.socket = await super().sock_connect(net, sock, sockaddr, timeout_at)
        except BaseException:
            sock.close()
            raise
        return connected
