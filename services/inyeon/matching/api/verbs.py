"""What a caller says, done at the desk of the pool's owner."""

from __future__ import annotations

from inyeon.matching.adapters.wire import attention_from, drops_from, wish_from
from inyeon.matching.api.callers import Caller, Closed, Opened, Said, Verb, person_of
from inyeon.matching.app.accept import accept, decline
from inyeon.matching.app.cancel import cancel
from inyeon.matching.app.desk import Desk
from inyeon.matching.app.end_match import end_match
from inyeon.matching.app.heartbeat import heartbeat, leave
from inyeon.matching.app.ports import SignedPass
from inyeon.matching.app.seek import seek
from inyeon.matching.app.state import tell_state
from inyeon.matching.app.why import ask_why
from inyeon.matching.app.widen import widen
from inyeon.matching.domain.matches import EndReason
from inyeon.matching.domain.refusals import WishRefused
from inyeon.runtime.errors import InvalidRequest
from inyeon_protos.matching.v1 import matching_pb2


async def act(desk: Desk, caller: Caller, verb: Verb) -> None:
    """Does it. Raises InvalidRequest, StatementRefused, Overloaded, Unavailable."""
    match verb:
        case Opened():
            await tell_state(desk, caller.user_id)
        case Said(message):
            await _take(desk, caller, message)
        case Closed(for_good):
            await leave(desk, caller.user_id)
            if for_good:
                await cancel(desk, caller.user_id)


async def _take(desk: Desk, caller: Caller, message: matching_pb2.SeekRequest) -> None:
    match message.WhichOneof("kind"):
        case "wish":
            await _seek(desk, caller, message.wish)
        case "heartbeat":
            await _heartbeat(desk, caller, message.heartbeat)
        case "cancel":
            await cancel(desk, caller.user_id)
        case "end_match":
            ended = message.end_match
            await end_match(desk, caller.user_id, ended.match_id, EndReason(int(ended.reason)))
        case "accept":
            await accept(desk, caller.user_id, message.accept.match_id)
        case "decline":
            await decline(desk, caller.user_id, message.decline.match_id)
        case "widen":
            await _widen(desk, caller.user_id, message.widen)
        case "why_waiting":
            await ask_why(desk, caller.user_id)
        case _:
            raise InvalidRequest("a message of Seek says something", field="kind")


async def _seek(desk: Desk, caller: Caller, message: matching_pb2.Wish) -> None:
    try:
        wish, person = wish_from(message), person_of(caller.claims)
    except WishRefused as refused:
        raise InvalidRequest(str(refused), reason=refused.reason, field=refused.field) from refused
    await seek(desk, person, wish, caller.session_id, caller.claims.device_key)


async def _widen(desk: Desk, user_id: str, message: matching_pb2.Widen) -> None:
    try:
        drops = drops_from(message)
    except WishRefused as refused:
        raise InvalidRequest(str(refused), reason=refused.reason, field=refused.field) from refused
    await widen(desk, user_id, message.ticket_id, drops)


async def _heartbeat(desk: Desk, caller: Caller, message: matching_pb2.Heartbeat) -> None:
    signed = None
    if message.HasField("safety_pass"):
        carried = message.safety_pass
        signed = SignedPass(carried.key_id, carried.payload, carried.signature)
    seen = attention_from(message)
    await heartbeat(desk, caller.user_id, caller.claims.device_key, seen, signed)
