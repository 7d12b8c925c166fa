"""Which addresses of this machine a call may use.

Policy: media is relayed (TURN; no host or reflexive candidate leaves the device) unless the
operator and both people allow a direct path. Relays come with a later issue. Until then a call
knows one way only, the loopback of one development machine, and offers no other address to anybody.

aioice leaves the loopback address out when it gathers, since two machines cannot meet there. It
asks one function of its module for the addresses; the adapter below puts another in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aioice import ice

LOOPBACK = "127.0.0.1"


@contextmanager
def loopback_only() -> Iterator[None]:
    """While it is entered, every connection of this process gathers 127.0.0.1 and nothing else."""
    gather = ice.get_host_addresses
    ice.get_host_addresses = _loopback
    try:
        yield
    finally:
        ice.get_host_addresses = gather


def _loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    return [LOOPBACK] if use_ipv4 else []
