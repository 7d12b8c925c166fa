"""Reading `matching.decisions`: records of passes back to what a replay takes."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeVar

from inyeon.matching.adapters.frames import read_frame
from inyeon.matching.adapters.score_models import model_from
from inyeon.matching.domain.replaying import Decision, TicketPair
from inyeon.matching.domain.score_models import ScoreModel
from inyeon.matching.domain.waves import WaveRules
from inyeon.runtime.errors import LogUnavailable
from inyeon.runtime.log.envelope import decode, is_type
from inyeon.runtime.log.poison import PoisonRecord
from inyeon.runtime.log.port import Log, Record
from inyeon.runtime.log.topics import DECISIONS
from inyeon_protos.events.v1 import events_pb2

T = TypeVar("T")

READ_AT_ONCE = 200  # of at most 256 KiB: 50 MB in the very worst case
POLL_S = 0.5
SILENCE_S = 30.0  # Kafka answers a fetch within its request timeout of 30 s or not at all


@dataclass(slots=True)
class DecisionReader:
    """Of many pools; records of one pool come in their order."""

    _parts: dict[str, tuple[int, list[bytes]]] = field(default_factory=dict)
    _rules: dict[str, WaveRules] = field(default_factory=dict)
    unrecorded: int = 0
    """Passes whose inputs were never recorded."""
    orphans: int = 0
    """Passes before the first key frame of their pool."""

    def take(self, record: Record) -> Decision | None:
        """A whole decision, or None where more records belong to it. Raises PoisonRecord."""
        if is_type(record, events_pb2.WavePart):
            self._keep(decode(record, events_pb2.WavePart))
            return None
        event = decode(record, events_pb2.WaveDecided)
        if not event.parts:
            self.unrecorded += 1
            return None
        return self._decision(event)

    def _keep(self, part: events_pb2.WavePart) -> None:
        wave, parts = self._parts.get(part.pool, (0, []))
        if wave != part.wave or part.part == 0:
            parts = []
        parts.append(part.data)
        self._parts[part.pool] = part.wave, parts

    def _decision(self, event: events_pb2.WaveDecided) -> Decision | None:
        wave, before = self._parts.pop(event.pool, (0, []))
        parts = [*(before if wave == event.wave else []), event.inputs]
        known = self._rules.get(event.pool)
        if len(parts) != event.parts and known is not None:
            raise PoisonRecord("PARTS_MISSING", f"{len(parts)} of {event.parts} parts")
        if len(parts) != event.parts:
            self.orphans += 1  # retention took the first parts away
            return None
        frame, rules, seekers = read_frame(parts, known)
        if rules is None:
            self.orphans += 1
            return None
        self._rules[event.pool] = rules
        pairs = _pairs(event)
        return Decision(
            pool=event.pool,
            wave=event.wave,
            engine=event.engine,
            frame=frame,
            inputs=event.inputs_digest,
            rules=rules,
            seed=event.seed,
            seekers=seekers,
            pairs=pairs,
            digest=event.pairs_digest,
            matches=_of_pairs(event, event.match_ids),
            shares=tuple((_model(one.score), one.share) for one in event.shares),
            chances=_of_pairs(event, event.pair_propensities),
            experiment=event.experiment,
        )


def _pairs(event: events_pb2.WaveDecided) -> tuple[TicketPair, ...]:
    places = [*event.pairs, *event.left_out]
    if len(places) % 2 or max(places, default=-1) >= len(event.tickets):
        raise PoisonRecord("PAIR_UNKNOWN", f"pairs of {len(event.tickets)} tickets: {places[:9]}")
    ordered = sorted(zip(places[::2], places[1::2], strict=True))
    return tuple((event.tickets[one], event.tickets[other]) for one, other in ordered)


def _of_pairs(event: events_pb2.WaveDecided, values: Sequence[T]) -> dict[TicketPair, T]:
    """By committed pair; empty where not every pair has one, as in old records."""
    if 2 * len(values) != len(event.pairs):
        return {}
    ids = [event.tickets[place] for place in event.pairs]
    return dict(zip(zip(ids[::2], ids[1::2], strict=True), values, strict=True))


def _model(text: str) -> ScoreModel:
    try:
        return model_from(json.loads(text), "shares.score")
    except ValueError as error:
        raise PoisonRecord("SCORE_UNREADABLE", str(error)[:200]) from error


async def read_decision_records(log: Log) -> AsyncGenerator[Record, None]:
    """`read_records` of the topic of decisions."""
    async with aclosing(read_records(log, [DECISIONS])) as records:
        async for record in records:
            yield record


async def read_records(log: Log, topics: Sequence[str]) -> AsyncGenerator[Record, None]:
    """Everything in the topics up to now. Raises LogUnavailable, also after 30 s of silence."""
    reader = await log.read_all(topics)
    try:
        quiet = 0
        while True:
            records = await reader.poll(READ_AT_ONCE, POLL_S)
            for record in records:
                yield record
            if await reader.caught_up():
                return
            quiet = 0 if records else quiet + 1
            if quiet * POLL_S >= SILENCE_S:
                raise LogUnavailable(f"{', '.join(topics)}: no more records for {SILENCE_S:.0f} s")
    finally:
        await reader.close()
