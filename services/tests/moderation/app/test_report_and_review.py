"""Reporting and reviewing: who may, what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from inyeon.moderation.app.ports import NewReport
from inyeon.moderation.domain.cases import Decision
from inyeon.moderation.domain.observation import Window
from inyeon.moderation.domain.verdict import Verdict
from inyeon.moderation.errors import NotInMatch, OwnSelf, ReviewerNeeded

pytestmark = pytest.mark.unit
REVIEWER = frozenset({"reviewer"})


def report(reporter: str, reported: str) -> NewReport:
    return NewReport("r-1", reporter, reported, "m", "REPORTED_HATE", "")


async def test_only_the_partner_of_a_match_can_be_reported(room: Any) -> None:
    with pytest.raises(NotInMatch):
        await room.reporting.report(report("b", "a"))
    await room.match("m", "a", "b")
    assert await room.reporting.report(report("b", "a"))
    with pytest.raises(NotInMatch):
        await room.reporting.report(report("c", "a"))


async def test_nobody_reports_or_blocks_themselves(room: Any) -> None:
    with pytest.raises(OwnSelf) as refused:
        await room.reporting.report(report("a", "a"))
    assert refused.value.field == "reported_id"
    with pytest.raises(OwnSelf) as refused:
        await room.reporting.block("a", "a")
    assert refused.value.field == "blocked_id"


async def test_block_needs_no_match(room: Any) -> None:
    await room.reporting.block("a", "z")
    assert [key for _, key in await room.emitted()] == ["a/z", "z/a"]


async def test_everything_needs_the_role(room: Any) -> None:
    nobody: frozenset[str] = frozenset({"operator"})
    with pytest.raises(ReviewerNeeded):
        await room.reviewing.cases(nobody, open_only=None)
    with pytest.raises(ReviewerNeeded):
        await room.reviewing.decide(nobody, "r", "c", Decision.CONFIRM, "")
    with pytest.raises(ReviewerNeeded):
        await room.reviewing.audit(nobody)
    assert await room.reviewing.audit(REVIEWER) is None


async def test_dismissal_reaches_live_devices(room: Any, window: Callable[..., Window]) -> None:
    await room.match("m", "a", "b")
    live, device = await room.open("a")
    _, partner = await room.open("b")
    await room.feed(live, *[window(n, Drawing=0.9) for n in range(1, 4)])
    await room.commit.commit()
    [case], _ = await room.reviewing.cases(REVIEWER, open_only=True)
    assert case.live
    closed = await room.reviewing.decide(REVIEWER, "r1", case.case_id, Decision.DISMISS, "cat")
    assert closed.decision is Decision.DISMISS
    assert live.machine.verdict is Verdict.UNSURE
    assert device.told[-1] == ("CLEAR", "myself")
    assert partner.told[-1] == ("CLEAR", "partner")
    assert device.verdicts[-1] is Verdict.UNSURE
    await room.commit.commit()
    resumed, _ = await room.open("a")
    assert resumed.machine.verdict is Verdict.UNSURE


async def test_confirmation_changes_no_verdict(room: Any, window: Callable[..., Window]) -> None:
    live, device = await room.open("a")
    await room.feed(live, *[window(n, Drawing=0.9) for n in range(1, 4)])
    await room.commit.commit()
    [case], _ = await room.reviewing.cases(REVIEWER, open_only=True)
    before = list(device.told)
    await room.reviewing.decide(REVIEWER, "r1", case.case_id, Decision.CONFIRM, "")
    assert live.machine.verdict is Verdict.PROTECT
    assert device.told == before
    await room.observe.dismissed("nobody")
