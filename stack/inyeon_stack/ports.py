"""Ports of 127.0.0.1."""

from __future__ import annotations

import random
import socket

import psutil

from inyeon_stack.errors import PortTaken

# Below Linux's range for outgoing connections (32768 and up): none of those can take the port of an
# engine that is down for a moment.
_LOWEST, _HIGHEST = 20_000, 32_000
_TRIES = 200


def is_free(port: int) -> bool:
    """Nobody listens there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on now. Raises OSError where none are found."""
    found: list[int] = []
    for port in random.sample(range(_LOWEST, _HIGHEST), _TRIES):
        if len(found) == count:
            break
        if is_free(port):
            found.append(port)
    if len(found) < count:
        raise OSError(f"no {count} free ports between {_LOWEST} and {_HIGHEST}")
    return found


def require_free(engine: str, *ports: int) -> None:
    """Raises PortTaken for the first that is taken."""
    for port in ports:
        if not is_free(port):
            raise PortTaken(engine, port, _holder(port))


def _holder(port: int) -> str:
    """Who listens there; of other users' processes the system tells only root."""
    try:
        found = psutil.net_connections("tcp")
        pids = [one.pid for one in found if one.laddr and one.laddr.port == port and one.pid]
        return f"process {pids[0]} ({psutil.Process(pids[0]).name()})"
    except (psutil.Error, OSError, IndexError):
        return "another process"
