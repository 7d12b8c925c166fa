"""Heartbeat: a sign of life, with or without a person in the picture and a safety pass."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from inyeon.matching.app.desk import Desk
from inyeon.matching.app.hall import Sign
from inyeon.matching.app.ports import PassFacts, SignedPass
from inyeon.matching.app.state import tell_waiting
from inyeon.matching.domain.people import Attention
from inyeon.runtime.errors import StatementRefused

PASS_LIFE = timedelta(seconds=30)
SKEW = timedelta(seconds=5)
"""Moderation's clock may be so far ahead of ours."""


async def heartbeat(
    desk: Desk, user_id: str, device_key: str, present: bool | Attention, signed: SignedPass | None
) -> None:
    """Keeps the ticket or the match; who comes back to a paused ticket is told so at once. An
    expired pass counts as none.

    Raises StatementRefused (also WRONG_USER, WRONG_DEVICE, PASS_TOO_LONG, CLOCK_SKEW) for a pass
    that does not hold; the sign of life then does not count.
    """
    now = desk.clock.monotonic()
    before = desk.hall.signs.get(user_id)
    until = before.pass_until if before else -math.inf
    if signed is not None:
        until = max(until, _pass_until(desk, user_id, device_key, signed))
    desk.hall.signs[user_id] = Sign(now, present, until)
    desk.hall.meetings.heard(user_id, now)
    if desk.hall.pool.heartbeat(user_id, now, present, until):
        await tell_waiting(desk, desk.hall.pool.look(user_id, now))


async def leave(desk: Desk, user_id: str) -> None:
    """The stream broke: nobody is proposed until the device is back."""
    now = desk.clock.monotonic()
    desk.hall.pool.lose_sight(user_id, now)
    desk.hall.meetings.gone(user_id)
    if desk.hall.ticket_of(user_id) is None and desk.hall.meetings.of_user(user_id) is None:
        desk.hall.signs.pop(user_id, None)
    elif user_id in desk.hall.signs:
        desk.hall.signs[user_id] = Sign(desk.hall.signs[user_id].heard_at, present=False)


def _pass_until(desk: Desk, user_id: str, device_key: str, signed: SignedPass) -> float:
    """Monotonic time at which the pass ends, -inf for one that does not count."""
    now = desk.clock.now()
    facts = desk.passes.read(signed, now)
    if facts is None:
        return -math.inf
    _check(facts, user_id, device_key, now)
    if desk.policy_versions and facts.policy_version not in desk.policy_versions:
        return -math.inf
    return desk.clock.monotonic() + (facts.expires_at - now).total_seconds()


def _check(facts: PassFacts, user_id: str, device_key: str, now: datetime) -> None:
    if facts.user_id != user_id:
        raise StatementRefused("the safety pass is about somebody else", reason="WRONG_USER")
    if facts.device_key != device_key:
        raise StatementRefused("the safety pass is of another device", reason="WRONG_DEVICE")
    if facts.issued_at > now + SKEW:
        ahead_s = (facts.issued_at - now).total_seconds()
        message = f"the safety pass is from {ahead_s:.0f} s in the future: a clock is wrong"
        raise StatementRefused(message, reason="CLOCK_SKEW")
    if facts.expires_at - facts.issued_at > PASS_LIFE:
        raise StatementRefused("the safety pass lives too long", reason="PASS_TOO_LONG")
