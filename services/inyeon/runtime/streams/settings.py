"""Limits of a stream."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How one kind of stream behaves. Times in seconds, queues in messages."""

    max_in_flight: int = 256
    """Unacknowledged client messages; past them the server stops reading."""
    max_outgoing: int = 256
    """Messages that wait for a slow device; one more ends the stream as overloaded."""
    max_age_s: float = 600.0
    """Age at which a stream is ended; +- `age_jitter` of it, so that a restart is no stampede."""
    age_jitter: float = 0.1
    open_timeout_s: float = 10.0
    """A device that connects and says nothing holds a stream no longer than this."""
    close_timeout_s: float = 5.0
    """For the handler's `closed` and for the store, each."""
    flush_timeout_s: float = 5.0
    """For a device to take the last messages; then the call is cut.
    Drain: 5 `closed` + 5 store + 5 flush = 15 s at worst, below the harness's 20 s."""
    drain_retry_after_s: float = 1.0
    """Devices of a draining replica come back at a random time up to this."""
