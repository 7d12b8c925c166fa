"""Conversations out of the log: what waves knew of each pair, and how long the two then talked.

A pair of a decision is a match of the same two people that began at the moment of the decision;
matches that both had to accept begin later and are not found. Records may come topic by topic.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field

import numpy as np

from inyeon.matching.adapters.decisions import DecisionReader
from inyeon.matching.domain.frames import BaseMissing, Rebuilder
from inyeon.matching.domain.length_rows import Exact, pair_row
from inyeon.matching.domain.lengths import shares
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.runtime.errors import LogUnavailable
from inyeon.runtime.log.envelope import decode, is_type
from inyeon.runtime.log.poison import PoisonRecord
from inyeon.runtime.log.port import Log, Record
from inyeon.runtime.log.topics import DECISIONS, MATCHES, OUTCOMES
from inyeon_protos.events.v1 import events_pb2

READ_FROM = (DECISIONS, MATCHES, OUTCOMES)
READ_AT_ONCE = 200
POLL_S = 0.5
SILENCE_S = 30.0  # Kafka answers a fetch within its request timeout of 30 s or not at all

_Pair = tuple[int, str, str]
"""Microseconds since 1970 UTC, and both people, sorted."""


@dataclass(slots=True)
class LengthLog:
    """Takes records; then gives rows."""

    unreadable: int = 0
    _reader: DecisionReader = field(default_factory=DecisionReader)
    _pools: dict[str, Rebuilder] = field(default_factory=dict)
    _rows: dict[_Pair, tuple[float, ...]] = field(default_factory=dict)
    _matches: dict[str, _Pair] = field(default_factory=dict)
    _outcomes: dict[str, tuple[float, int]] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        """Any record of READ_FROM; what cannot be read is counted."""
        try:
            self._take(record)
        except (PoisonRecord, BaseMissing):
            self.unreadable += 1

    def conversations(self) -> tuple[Exact, Exact]:
        """Rows (n, 6) in the order of lengths.FEATURES and shares (n,), by their beginning; only
        what says something about the two."""
        found = sorted(self._joined(), key=lambda one: one[0])
        rows = np.array([row for _, row, _, _ in found], np.float64).reshape(-1, 6)
        lengths = np.array([length_s for _, _, length_s, _ in found], np.float64)
        reasons = np.array([reason for _, _, _, reason in found], np.int64)
        share, counted = shares(lengths, reasons)
        return rows[counted], share[counted]

    def _joined(self) -> Iterator[tuple[_Pair, tuple[float, ...], float, int]]:
        for match_id, (length_s, reason) in self._outcomes.items():
            pair = self._matches.get(match_id)
            if pair is not None and pair in self._rows:
                yield pair, self._rows[pair], length_s, reason

    def _take(self, record: Record) -> None:
        if record.topic == DECISIONS:
            self._decided(record)
        elif is_type(record, events_pb2.MatchLive):
            live = decode(record, events_pb2.MatchLive)
            pair = _pair(live.started_at.ToMicroseconds(), live.user_a, live.user_b)
            self._matches[live.match_id] = pair
        elif is_type(record, events_pb2.MatchOutcome):
            outcome = decode(record, events_pb2.MatchOutcome)
            self._outcomes[outcome.match_id] = outcome.duration_s, int(outcome.reason)

    def _decided(self, record: Record) -> None:
        decision = self._reader.take(record)
        if decision is None:
            return
        at_us = decode(record, events_pb2.WaveDecided).decided_at.ToMicroseconds()
        rebuilder = self._pools.setdefault(decision.pool, Rebuilder())
        snapshot = rebuilder.take(decision.wave, decision.frame)
        place = {ticket.ticket_id: at for at, ticket in enumerate(snapshot.tickets)}
        for tickets in decision.pairs:
            one, other = (place[ticket] for ticket in tickets)
            self._rows[_key(at_us, snapshot, one, other)] = pair_row(snapshot, one, other)


def _key(at_us: int, snapshot: Snapshot, one: int, other: int) -> _Pair:
    return _pair(at_us, snapshot.tickets[one].user_id, snapshot.tickets[other].user_id)


def _pair(at_us: int, one: str, other: str) -> _Pair:
    return at_us, min(one, other), max(one, other)


async def read_conversations(log: Log) -> AsyncGenerator[Record, None]:
    """Everything in READ_FROM up to now. Raises LogUnavailable, also after 30 s of silence."""
    reader = await log.read_all(list(READ_FROM))
    try:
        quiet = 0
        while not await reader.caught_up():
            records = await reader.poll(READ_AT_ONCE, POLL_S)
            for record in records:
                yield record
            quiet = 0 if records else quiet + 1
            if quiet * POLL_S >= SILENCE_S:
                raise LogUnavailable(f"no more records for {SILENCE_S:.0f} s")
    finally:
        await reader.close()
