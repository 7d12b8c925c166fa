"""What the gateway learns from the log: ended matches close calls, the status page looks on."""

from __future__ import annotations

from inyeon.gateway.adapters.wire import encode
from inyeon.gateway.app.signalling import PartnerIsGone
from inyeon.gateway.domain.board import Board, Json
from inyeon.runtime.log.envelope import decode, is_type
from inyeon.runtime.log.poison import expect_key
from inyeon.runtime.log.port import Record
from inyeon.runtime.peers import Peers
from inyeon_protos.events.v1 import events_pb2
from inyeon_protos.matching.v1 import matching_pb2
from inyeon_protos.moderation.v1 import safety_pb2


async def close_calls(record: Record, peers: Peers) -> None:
    """A match ended: both sides of its call end, wherever they are. Raises PoisonRecord."""
    if not is_type(record, events_pb2.MatchEnded):
        return
    ended = decode(record, events_pb2.MatchEnded)
    expect_key(record, ended.match_id)
    name, payload = encode(PartnerIsGone(ended.match_id, final=True))
    for user_id in (ended.user_a, ended.user_b):
        await peers.deliver(user_id, name, payload)


def show(record: Record, board: Board) -> None:
    """Puts a verdict or a match on the board; anything else is passed over. Raises PoisonRecord."""
    if record.value is None:
        return
    if is_type(record, events_pb2.VerdictRecorded):
        _show_verdict(decode(record, events_pb2.VerdictRecorded), board)
    elif is_type(record, events_pb2.MatchLive):
        _show_live(decode(record, events_pb2.MatchLive), board)
    elif is_type(record, events_pb2.MatchEnded):
        ended = decode(record, events_pb2.MatchEnded)
        reason = matching_pb2.EndReason.Name(ended.reason).removeprefix("END_REASON_")
        board.match(ended.match_id, {"state": "ended", "end_reason": reason})


def _show_verdict(verdict: events_pb2.VerdictRecorded, board: Board) -> None:
    name = safety_pb2.Verdict.Name(verdict.verdict).removeprefix("VERDICT_")
    board.person(verdict.user_id, {"verdict": name, "verdict_reason": verdict.reason})


def _show_live(live: events_pb2.MatchLive, board: Board) -> None:
    reasons: list[Json] = [
        f"{matching_pb2.MatchReason.Name(r.reason).removeprefix('MATCH_REASON_')}"
        f" {r.detail or f'{r.strength:.2f}'}"
        for r in live.reasons
    ]
    people: list[Json] = [live.user_a, live.user_b]
    board.match(live.match_id, {"state": "live", "people": people, "reasons": reasons})
