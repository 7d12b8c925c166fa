"""What matching writes to the log, as records with their envelope."""

from __future__ import annotations

from datetime import datetime

from inyeon.matching.adapters.wire import explanations_to, ticket_to, timestamp
from inyeon.matching.app.ports import WaveOrder
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
    )
    return new_event(OUTCOMES, user_id, event, occurred_at=at)


def wave_decided(order: WaveOrder, stand: frozenset[str]) -> NewRecord:
    """One pass, with the pairs that were committed."""
    kept = [one for one in order.proposals if one.match.match_id in stand]
    event = events_pb2.WaveDecided(
        pool=order.pool,
        wave=order.epoch << 32 | order.wave,
        decided_at=timestamp(order.decided_at),
        tickets=order.tickets,
        pairs=[place for one in kept for place in one.places],
        scores=[one.score for one in kept],
        score_version=order.score_version,
    )
    return new_event(DECISIONS, order.pool, event, occurred_at=order.decided_at)
