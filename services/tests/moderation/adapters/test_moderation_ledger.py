"""The ledger on a real store: cases, pages, the chain, edges, matches, migrations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.exc import IntegrityError

from inyeon.moderation.adapters.match_book import apply_match
from inyeon.moderation.adapters.tables import TABLES, decisions
from inyeon.moderation.app.forgetting import Forgetting
from inyeon.moderation.app.ports import LiveMatch, NewReport
from inyeon.moderation.domain.cases import Decision
from inyeon.moderation.domain.observation import Window
from inyeon.moderation.domain.verdict import DISMISSED, Verdict
from inyeon.moderation.errors import CaseClosed, CaseMissing, PageRefused
from inyeon.runtime.log.poison import PoisonRecord
from inyeon.runtime.log.port import Record
from inyeon.runtime.store.migrating import migration_differences, migrations_of

pytestmark = pytest.mark.unit


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.engine("postgresql"))]
)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def report(n: int, reporter: str = "b", reported: str = "a", reason: str = "R") -> NewReport:
    return NewReport(f"req-{n}", reporter, reported, "m", reason, "note")


async def ids(room: Any, open_only: bool | None = True, size: int = 50) -> list[str]:
    found, token = [], ""
    while True:
        page, token = await room.ledger.cases(open_only=open_only, size=size, after=token)
        found += [case.case_id for case in page]
        if not token:
            return found


def test_migrations_are_in_step() -> None:
    assert migration_differences(TABLES, migrations_of("moderation")) == []


async def test_reports_join_and_repeat_harmlessly(room: Any) -> None:
    first = await room.ledger.report(report(1))
    assert await room.ledger.report(report(1)) == first
    assert await room.ledger.report(report(2, reporter="c")) == first
    assert await room.ledger.report(report(3, reason="OTHER")) != first
    cases, _ = await room.ledger.cases(open_only=True, size=9, after="")
    assert {case.case_id: case.reports for case in cases}[first] == 2
    edges = [key for topic, key in await room.emitted() if topic == "social.edges"]
    assert sorted(edges) == ["a/b", "a/c", "b/a", "c/a"]


async def test_block_is_stronger_than_report(room: Any) -> None:
    await room.ledger.report(report(1))
    await room.ledger.block("b", "a")
    await room.ledger.block("a", "b")
    await room.ledger.report(report(2))
    edges = [key for topic, key in await room.emitted() if topic == "social.edges"]
    assert sorted(edges) == ["a/b", "a/b", "b/a", "b/a"]


async def test_cases_by_urgency_in_pages(room: Any) -> None:
    made = []
    for n in range(5):
        await room.clock.advance(60.0)
        made.append(await room.ledger.report(report(n, reported=f"u{n}")))
    await room.match("m", "u3", "x")
    assert await ids(room) == [made[3], made[0], made[1], made[2], made[4]]
    assert await ids(room, size=2) == await ids(room)
    await room.ledger.decide(made[1], "r", Decision.CONFIRM, "")
    await room.clock.advance(60.0)
    await room.ledger.decide(made[0], "r", Decision.DISMISS, "")
    assert await ids(room) == [made[3], made[2], made[4]]
    assert await ids(room, open_only=False, size=1) == [made[0], made[1]]
    assert await ids(room, open_only=None, size=2) == [made[3], made[2], made[4], made[0], made[1]]


@pytest.mark.parametrize("token", ["x", "!!", "AAAA", "MS4yLjM=", "é", "MC4wLng.abc"])
async def test_foreign_page_tokens_are_refused(room: Any, token: str) -> None:
    with pytest.raises(PageRefused):
        await room.ledger.cases(open_only=None, size=5, after=token)


async def test_the_chain_holds_and_cannot_be_changed(room: Any, engine: str) -> None:
    for n in range(3):
        case_id = await room.ledger.report(report(n, reported=f"u{n}"))
        await room.ledger.decide(case_id, "r", Decision.CONFIRM, f"note {n}")
    assert await room.ledger.audit() is None
    for statement in (update(decisions).values(note="x"), delete(decisions)):
        with pytest.raises(IntegrityError, match="append-only"):
            async with room.store.transaction() as tx:
                await tx.connection.execute(statement)
    async with room.store.transaction() as tx:
        on = " ON moderation_decisions" if engine == "postgresql" else ""
        await tx.connection.execute(text(f"DROP TRIGGER moderation_decisions_no_update{on}"))
        await tx.connection.execute(update(decisions).where(decisions.c.seq == 2).values(note="x"))
    assert await room.ledger.audit() == 2


async def test_an_empty_chain_is_whole(room: Any) -> None:
    assert await room.ledger.audit() is None


async def test_only_one_of_many_decides(room: Any) -> None:
    case_id = await room.ledger.report(report(1))
    done = await asyncio.gather(
        *[room.ledger.decide(case_id, f"r{n}", Decision.CONFIRM, "") for n in range(8)],
        return_exceptions=True,
    )
    assert sum(not isinstance(one, Exception) for one in done) == 1
    assert sum(isinstance(one, CaseClosed) for one in done) == 7
    assert await room.ledger.audit() is None
    with pytest.raises(CaseMissing):
        await room.ledger.decide("no such", "r", Decision.CONFIRM, "")


async def test_dismissal_resets_a_stored_protect(room: Any, window: Callable[..., Window]) -> None:
    live, _ = await room.open("a")
    await room.feed(live, *[window(n, Drawing=0.9) for n in range(1, 4)])
    await room.commit.commit()
    room.observe.close(live)
    [case_id] = await ids(room)
    done = await room.ledger.decide(case_id, "r", Decision.DISMISS, "")
    assert (done.verdict.verdict, done.verdict.reason) == (Verdict.UNSURE, DISMISSED)
    assert (await room.ledger.stored_verdict("a")).version == done.verdict.version == 2
    again, _ = await room.open("a")
    assert again.machine.verdict is Verdict.UNSURE


async def test_dismissal_leaves_a_verdict_that_moved_on(
    room: Any, window: Callable[..., Window]
) -> None:
    live, _ = await room.open("a")
    quiet = [window(n) for n in range(4, 10)]
    await room.feed(live, *[window(n, Drawing=0.9) for n in range(1, 4)], *quiet)
    await room.commit.commit()
    [case_id] = await ids(room)
    assert (await room.ledger.decide(case_id, "r", Decision.DISMISS, "")).verdict is None


async def test_matches(room: Any) -> None:
    assert await room.ledger.match_of("a") is None
    await room.match("m", "a", "b")
    assert await room.ledger.match_of("a") == LiveMatch("m", "b")
    assert await room.ledger.match_of("b") == LiveMatch("m", "a")
    await room.match("m", "a", "b", ended=True)
    await room.match("m", "a", "b")
    assert await room.ledger.match_of("a") is None
    assert await room.ledger.were_matched("m", "b", "a")
    assert await room.ledger.were_matched("", "b", "a")
    assert not await room.ledger.were_matched("m", "b", "c")
    assert not await room.ledger.were_matched("n", "b", "a")


async def test_a_foreign_record_is_poison(room: Any) -> None:
    record = Record("matching.matches", 0, 0, "m", b"\xff", {"type": "x"}, room.clock.now())
    with pytest.raises(PoisonRecord):
        async with room.store.transaction() as tx:
            await apply_match(record, tx, room.clock)


async def test_a_policy_is_published_once(room: Any) -> None:
    file = room.policy_file
    assert await room.ledger.publish(file.policy, file.document)
    assert not await room.ledger.publish(file.policy, file.document)
    assert await room.emitted() == [("policies.published", "default")]


async def test_what_is_over_is_forgotten(room: Any, window: Callable[..., Window]) -> None:
    live, _ = await room.open("a")
    await room.feed(live, window(1))
    await room.commit.commit()
    await room.match("m", "a", "b")
    await room.match("m", "a", "b", ended=True)
    forgetting = Forgetting(room.ledger, room.streams.prune, room.clock, kept_s=86_400.0)
    assert await forgetting.once() == 0
    await room.clock.advance(90_000.0)
    assert await forgetting.once() == 3
    assert await room.ledger.snapshot("s-a", "a") is None
    assert not await room.ledger.were_matched("m", "a", "b")
