"""Observe as a use case: directives at once, acknowledgements after the commit, verdicts across
sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from inyeon.moderation.adapters.policy_file import PolicyFile
from inyeon.moderation.domain.observation import Embedding, Presence, Subject, Window
from inyeon.moderation.domain.verdict import Verdict
from inyeon.moderation.errors import WindowRefused
from inyeon.runtime.errors import Overloaded, StoreUnavailable
from inyeon.runtime.identity.signing import Ed25519Verifier
from inyeon.runtime.identity.statements_pb import unseal
from inyeon_protos.common.v1.identity_pb2 import SafetyPass, SignedStatement

pytestmark = pytest.mark.unit
MakeWindow = Callable[..., Window]


def hot(window: MakeWindow, first: int, count: int = 3) -> list[Window]:
    return [window(n, Drawing=0.9) for n in range(first, first + count)]


def quiet(window: MakeWindow, first: int, count: int) -> list[Window]:
    return [window(n) for n in range(first, first + count)]


async def test_open_tells_what_stands(room: Any, policy_file: PolicyFile) -> None:
    _, device = await room.open("a")
    assert device.told == [("POLICY", policy_file.policy.version)]
    assert device.verdicts == [Verdict.UNKNOWN]


async def test_acknowledged_after_commit_with_a_pass(room: Any, window: MakeWindow) -> None:
    live, device = await room.open("a")
    await room.feed(live, *quiet(window, 1, 2))
    assert device.acks == []
    await room.commit.commit()
    [(through, signed)] = device.acks
    assert through == 2
    statement = SignedStatement(
        key_id=signed.key_id, payload=signed.payload, signature=signed.signature
    )
    verifier = Ed25519Verifier([room.signer.public_key])
    fact = unseal(verifier, statement, SafetyPass, room.clock.now())
    assert (fact.user_id, fact.session_id) == ("a", "s-a")
    assert (fact.expires_at.seconds - fact.issued_at.seconds) == 30


async def test_no_pass_when_away(room: Any, window: MakeWindow) -> None:
    live, device = await room.open("a")
    await room.feed(live, *quiet(window, 1, 2), window(3, presence=Presence.AWAY))
    await room.commit.commit()
    assert device.acks == [(3, None)]


async def test_a_pass_is_reused_for_five_seconds(room: Any, window: MakeWindow) -> None:
    live, device = await room.open("a")
    for n in range(2, 12):
        await room.feed(live, window(n))
        await room.commit.commit()
    passes = [signed.payload for _, signed in device.acks if signed]
    assert len(passes) == 9
    assert len(set(passes)) == 2


async def test_protect_is_told_before_any_commit(room: Any, window: MakeWindow) -> None:
    await room.match("m", "a", "b")
    live, device = await room.open("a")
    _, partner = await room.open("b")
    await room.feed(live, *hot(window, 1))
    assert device.acks == []
    assert ("PROTECT", "myself") in device.told
    assert partner.told[1:] == [("PROTECT", "partner"), ("WARN", "partner")]
    assert device.verdicts[-1] is Verdict.PROTECT


async def test_the_match_ends_by_policy(room: Any, window: MakeWindow) -> None:
    await room.match("m", "a", "b")
    live, device = await room.open("a")
    _, partner = await room.open("b")
    await room.feed(live, *hot(window, 1))
    await room.clock.advance(1.9)
    await room.telling.end_due()
    assert ("END", "myself") not in device.told
    await room.clock.advance(0.2)
    await room.telling.end_due()
    assert device.told[-1] == ("END", "myself")
    assert partner.told[-1] == ("END", "partner")
    await room.telling.end_due()
    assert device.told.count(("END", "myself")) == 1


async def test_a_match_that_ended_itself_is_left_alone(room: Any, window: MakeWindow) -> None:
    await room.match("m", "a", "b")
    live, device = await room.open("a")
    await room.feed(live, *hot(window, 1))
    await room.match("m", "a", "b", ended=True)
    await room.clock.advance(3.0)
    await room.telling.end_due()
    assert ("END", "myself") not in device.told


async def test_back_to_clear(room: Any, window: MakeWindow) -> None:
    await room.match("m", "a", "b")
    live, device = await room.open("a")
    _, partner = await room.open("b")
    await room.feed(live, *hot(window, 1), *quiet(window, 4, 5))
    assert device.told[-1] == ("CLEAR", "myself")
    assert partner.told[-1] == ("CLEAR", "partner")
    await room.clock.advance(9.0)
    await room.telling.end_due()
    assert ("END", "myself") not in device.told


async def test_commit_writes_verdict_event_and_one_case(room: Any, window: MakeWindow) -> None:
    live, _ = await room.open("a")
    await room.feed(live, *hot(window, 1), *quiet(window, 4, 5), *hot(window, 9))
    await room.commit.commit()
    assert [topic for topic, _ in await room.emitted()] == ["moderation.verdicts"] * 3
    stored = await room.ledger.stored_verdict("a")
    assert (stored.verdict, stored.reason, stored.version) == (
        Verdict.PROTECT,
        "DRAWING_SUSTAINED",
        3,
    )
    [case], token = await room.ledger.cases(open_only=True, size=10, after="")
    assert (case.user_id, case.reason, token) == ("a", "DRAWING_SUSTAINED", "")
    assert "rule drawing: 0.90 against 0.60" in case.explanation


async def test_protect_survives_a_new_session(room: Any, window: MakeWindow) -> None:
    live, first = await room.open("a")
    await room.feed(live, *hot(window, 1))
    await room.commit.commit()
    again, device = await room.open("a", "another")
    assert first.ended
    assert device.told[1:] == [("PROTECT", "myself")]
    assert again.machine.verdict is Verdict.PROTECT
    await room.feed(again, *quiet(window, 1, 5))
    assert device.told[-1] == ("CLEAR", "myself")


async def test_the_partners_cover_stands_at_open(room: Any, window: MakeWindow) -> None:
    await room.match("m", "a", "b")
    live, _ = await room.open("a")
    await room.feed(live, *hot(window, 1))
    await room.commit.commit()
    _, partner = await room.open("b")
    assert partner.told[-1] == ("PROTECT", "partner")
    _, own = await room.open("a")
    assert own.told[-1] == ("PROTECT", "myself")


async def test_resume_goes_on_from_what_was_committed(room: Any, window: MakeWindow) -> None:
    live, _ = await room.open("a")
    await room.feed(live, *hot(window, 1, 2))
    await room.commit.commit()
    await room.feed(live, window(3))
    again, device = await room.open("a")
    assert again.through == 2
    await room.feed(again, window(3, Drawing=0.9))
    assert again.machine.verdict is Verdict.PROTECT
    await room.commit.commit()
    assert device.acks == [(3, None)]


async def test_a_passed_epoch_writes_nothing(room: Any, window: MakeWindow) -> None:
    live, device = await room.open("a")
    await room.feed(live, *hot(window, 1))
    await room.streams.open("observe", "a", "c", "s-a")
    await room.commit.commit()
    assert device.ended
    assert device.acks == []
    assert await room.ledger.stored_verdict("a") is None
    assert await room.ledger.snapshot("s-a", "a") is None


async def test_a_lost_store_acknowledges_nothing_and_loses_nothing(
    room: Any, window: MakeWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, device = await room.open("a")
    await room.feed(live, *hot(window, 1))
    whole = room.ledger.commit

    async def away(changes: object) -> frozenset[str]:
        raise StoreUnavailable("away")

    monkeypatch.setattr(room.ledger, "commit", away)
    with pytest.raises(StoreUnavailable):
        await room.commit.commit()
    assert device.acks == []
    monkeypatch.setattr(room.ledger, "commit", whole)
    await room.commit.commit()
    assert device.acks == [(3, None)]
    assert (await room.ledger.stored_verdict("a")).verdict is Verdict.PROTECT


async def test_unsure_escalates_into_the_log(room: Any, window: MakeWindow) -> None:
    live, _ = await room.open("a")
    await room.feed(live, *[window(n, Porn=0.55) for n in range(1, 4)])
    await room.commit.commit()
    assert ("moderation.escalations", "s-a") in await room.emitted()


async def test_partner_windows_reach_the_right_machine(room: Any, window: MakeWindow) -> None:
    await room.match("m", "a", "b")
    a, _ = await room.open("a")
    b, device = await room.open("b")
    seen = [
        Window(n, Subject.PARTNER, 1.0, Presence.ALONE, window(Porn=0.9).scores, match_id="m")
        for n in range(1, 20)
    ]
    await room.feed(b, *seen)
    assert a.machine.partner.trust < 1.0
    assert a.machine.verdict is not Verdict.PROTECT
    await room.commit.commit()
    assert device.acks[-1][0] == 19
    assert ("moderation.escalations", "s-a") in await room.emitted()


async def test_foreign_partner_windows_touch_nobody(room: Any, window: MakeWindow) -> None:
    a, _ = await room.open("a")
    b, device = await room.open("b")
    seen = Window(1, Subject.PARTNER, 1.0, Presence.ALONE, window(Porn=0.9).scores, match_id="m")
    await room.feed(b, seen)
    assert not any(e.windows for e in a.machine.partner._evidence)
    await room.commit.commit()
    assert device.acks == [(1, None)]


async def test_mixed_embedding_spaces_are_refused(room: Any, window: MakeWindow) -> None:
    live, _ = await room.open("a")
    base = window(1)
    one = Window(1, base.subject, 1.0, base.presence, None, embedding=Embedding("m", "1", b""))
    two = Window(2, base.subject, 1.0, base.presence, None, embedding=Embedding("m", "2", b""))
    await room.observe.window(live, 1, one)
    with pytest.raises(WindowRefused) as refused:
        await room.observe.window(live, 2, two)
    assert refused.value.reason == "EMBEDDING_SPACE_MIXED"
    assert refused.value.field == "window.embedding.space"
    assert live.through == 1


async def test_too_many_sessions_are_refused(room: Any) -> None:
    for user in ("a", "b", "c"):
        await room.open(user)
    with pytest.raises(Overloaded):
        await room.open("d")
    await room.open("c", "resumed elsewhere")


async def test_what_a_closed_stream_took_in_is_committed(room: Any, window: MakeWindow) -> None:
    live, device = await room.open("a")
    await room.feed(live, *hot(window, 1))
    room.observe.close(live)
    await room.commit.commit()
    assert device.acks == []
    assert (await room.ledger.stored_verdict("a")).verdict is Verdict.PROTECT


async def test_the_higher_epoch_stays_whoever_comes_last(room: Any) -> None:
    late = await room.streams.open("observe", "a", "c", "late")
    newest, device = await room.open("a", "newest")
    slow = type(device)()
    live = await room.observe.open("a", "late", late.epoch, "", slow)
    assert (slow.ended, live.over) == (True, True)
    assert (device.ended, newest.over) == (False, False)
    assert room.sessions.of("a") is newest
