"""What matching writes to the log, as records with their envelope."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from google.protobuf.message import Message

from inyeon.matching.adapters.score_models import model_to
from inyeon.matching.adapters.wire import explanations_to, ticket_to, timestamp
from inyeon.matching.app.ports import Proposal, WaveOrder
from inyeon.matching.app.recording import Described, wave_number
from inyeon.matching.domain.courses import Course
from inyeon.matching.domain.matches import EndReason, LiveMatch
from inyeon.matching.domain.tickets import Ticket, TicketEnd
from inyeon.runtime.log.envelope import new_event
from inyeon.runtime.log.port import NewRecord
from inyeon.runtime.log.topics import DECISIONS, MATCHES, OUTCOMES, TICKETS
from inyeon_protos.events.v1 import events_pb2
from inyeon_protos.matching.v1 import matching_pb2


def ticket_waiting(ticket: Ticket, replica: str, at: datetime) -> NewRecord:
    """Tickets of a pool lie in its partition, in order."""
    message, key = ticket_to(ticket, replica), ticket.ticket_id
    return new_event(TICKETS, key, message, occurred_at=at, partition_key=ticket.pool)


def ticket_ended(
    ticket_id: str, user_id: str, pool: str, end: TicketEnd, at: datetime
) -> NewRecord:
    """The ticket is over."""
    event = events_pb2.TicketEnded(ticket_id=ticket_id, user_id=user_id, reason=end.value)
    return new_event(TICKETS, ticket_id, event, occurred_at=at, partition_key=pool)


def match_live(match: LiveMatch, version: int) -> NewRecord:
    """Two people meet."""
    event = events_pb2.MatchLive(
        match_id=match.match_id,
        user_a=match.first.user_id,
        user_b=match.second.user_id,
        pool=match.pool,
        started_at=timestamp(match.started_at),
        reasons=explanations_to(match.reasons),
        version=version,
        score_version=match.chosen.score_version,
        propensity=match.chosen.propensity,
    )
    return new_event(MATCHES, match.match_id, event, occurred_at=match.started_at, version=version)


def match_ended(
    match: LiveMatch, reason: EndReason, ended_by: str, at: datetime, version: int
) -> NewRecord:
    """The match is over."""
    event = events_pb2.MatchEnded(
        match_id=match.match_id,
        user_a=match.first.user_id,
        user_b=match.second.user_id,
        reason=matching_pb2.EndReason.ValueType(int(reason)),
        ended_by=ended_by,
        ended_at=timestamp(at),
        version=version,
    )
    return new_event(MATCHES, match.match_id, event, occurred_at=at, version=version)


def outcome(
    match: LiveMatch, user_id: str, reason: EndReason, ended_by: str, at: datetime
) -> NewRecord:
    """How the match was for one person."""
    event = events_pb2.MatchOutcome(
        user_id=user_id,
        match_id=match.match_id,
        duration_s=max((at - match.started_at).total_seconds(), 0.0),
        reason=matching_pb2.EndReason.ValueType(int(reason)),
        ended_by_user=ended_by == user_id,
        score_version=match.chosen.score_version,
    )
    return new_event(OUTCOMES, user_id, event, occurred_at=at)


def wave_decided(order: WaveOrder, stand: frozenset[str]) -> list[NewRecord]:
    """One pass with the pairs that were committed and those left out; first the parts of its inputs
    that do not fit into one record."""
    places = sorted({place for one in order.proposals for place in one.places})
    index = {place: number for number, place in enumerate(places)}
    kept = [one for one in order.proposals if one.match.match_id in stand]
    left_out = [one for one in order.proposals if one.match.match_id not in stand]
    number = wave_number(order.epoch, order.wave)
    event = events_pb2.WaveDecided(
        pool=order.pool,
        wave=number,
        decided_at=timestamp(order.decided_at),
        tickets=[order.tickets[place] for place in places],
        pairs=[index[place] for one in kept for place in one.places],
        scores=[one.score for one in kept],
        score_version=order.score_version,
        left_out=[index[place] for one in left_out for place in one.places],
        match_ids=[one.match.match_id for one in kept],
    )
    if order.course is not None:
        _steered(event, order.course, kept, order.exact)
    if order.described is None:
        return [_decision(order, event)]
    return [
        *_parts(order, order.described, number),
        _decision(order, _with(event, order.described)),
    ]


def _steered(
    event: events_pb2.WaveDecided, course: Course, kept: Sequence[Proposal], exact: bool
) -> None:
    """Which version the wave went by, and with what chances."""
    event.propensity, event.experiment, event.window = (
        course.propensity,
        course.experiment,
        course.window,
    )
    for model, share in course.shares:
        event.shares.add(score=json.dumps(model_to(model), sort_keys=True), share=share)
    if exact:
        event.pair_propensities.extend(one.match.chosen.propensity for one in kept)


def _with(event: events_pb2.WaveDecided, described: Described) -> events_pb2.WaveDecided:
    event.seed, event.engine = described.seed, described.engine
    event.inputs, event.parts = described.parts[-1], len(described.parts)
    event.inputs_digest, event.pairs_digest = described.inputs, described.pairs
    return event


def _parts(order: WaveOrder, described: Described, number: int) -> list[NewRecord]:
    return [
        _decision(order, events_pb2.WavePart(pool=order.pool, wave=number, part=part, data=data))
        for part, data in enumerate(described.parts[:-1])
    ]


def _decision(order: WaveOrder, message: Message) -> NewRecord:
    return new_event(DECISIONS, order.pool, message, occurred_at=order.decided_at)
