"""What to send next, under which number, and what an acknowledgement covers. Pure: no time, no
network."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from inyeon_edge.uplink.outbox import Outbox

NOW_LIMIT = 32  # heartbeats of a minute and a half; a connection is given up long before


@dataclass(frozen=True, slots=True)
class Sent:
    """A message on its way."""

    sequence: int
    key: int
    """Key in the outbox; 0 for a message about now, which no resume repeats."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be written."""

    sequence: int
    payload: bytes


class Sender:
    """Numbers the messages of one session over all its connections.

    Kept messages stand in the outbox until they are acknowledged and are sent again after a break.
    Messages about now (a heartbeat, a grant) live only as long as the connection. Since the
    platform's count is the truth (`StreamOpened.acknowledged`), each connection numbers what waits
    anew from there, without gaps.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._now: deque[bytes] = deque(maxlen=NOW_LIMIT)
        self._in_flight: deque[Sent] = deque()
        self._cursor = 0
        self._next_sequence = 1
        self._max_in_flight = 0
        self.acknowledged = 0

    @property
    def in_flight(self) -> int:
        """Messages sent on this connection and not acknowledged."""
        return len(self._in_flight)

    @property
    def is_drained(self) -> bool:
        """Nothing waits."""
        return not self._in_flight and not self._now and not len(self._outbox)

    def opened(self, acknowledged: int, max_in_flight: int) -> list[Sent]:
        """A connection opened. Returns what the platform had acknowledged without our knowing."""
        known = {sent.key: sent.sequence for sent in self._in_flight}
        done = self._outbox.reopen(acknowledged)
        self._in_flight.clear()
        self.closed()
        self.acknowledged = acknowledged
        self._next_sequence = acknowledged + 1
        self._max_in_flight = max(1, max_in_flight)
        self._cursor = 0
        return [Sent(known.get(key, acknowledged), key) for key in done]

    def closed(self) -> None:
        """The connection is gone: messages about now go with it, nothing more is sent."""
        self._now.clear()
        self._max_in_flight = 0

    def forget_session(self) -> None:
        """A new session begins: numbers start at 1 and nothing counts as acknowledged."""
        self._in_flight.clear()
        self._outbox.reopen(0)
        self.acknowledged = 0

    def say_now(self, payload: bytes) -> None:
        """Queues a message about now, ahead of kept ones."""
        self._now.append(payload)

    def next(self) -> Outgoing | None:
        """The next message, numbered, or nothing while nothing waits or too much is in flight."""
        if len(self._in_flight) >= self._max_in_flight:
            return None
        if self._now:
            return self._send(self._now.popleft(), 0)
        pending = self._outbox.after(self._cursor)
        if pending is None:
            return None
        self._cursor = pending.key
        self._outbox.mark(pending.key, self._next_sequence)
        return self._send(pending.payload, pending.key)

    def acked(self, through: int) -> list[Sent]:
        """Everything up to `through` is done; returns the kept messages among it. An old one
        changes nothing."""
        done: list[Sent] = []
        while self._in_flight and self._in_flight[0].sequence <= through:
            done.append(self._in_flight.popleft())
        if done:
            self.acknowledged = done[-1].sequence
        kept = [sent for sent in done if sent.key]
        self._outbox.remove([sent.key for sent in kept])
        return kept

    def give_up_oldest(self) -> bool:
        """Drops the oldest kept message, which the platform refuses again and again. True if there
        was one."""
        oldest = self._outbox.after(0)
        if oldest is not None:
            self._outbox.remove([oldest.key])
        return oldest is not None

    def _send(self, payload: bytes, key: int) -> Outgoing:
        sequence = self._next_sequence
        self._next_sequence += 1
        self._in_flight.append(Sent(sequence, key))
        return Outgoing(sequence, payload)
