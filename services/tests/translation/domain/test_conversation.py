"""Finals are held until they have arrived, and acknowledgements never run ahead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.translation.domain import conversation as module
from inyeon.translation.domain.answers import Tier
from inyeon.translation.domain.conversation import (
    AckLedger,
    Caption,
    Conversation,
    Grant,
    Inbox,
    Outbox,
    Receipt,
)

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def caption(segment: str = "s", revision: int = 1, **other: Any) -> Caption:
    facts: dict[str, Any] = {
        "match_id": "m",
        "author_id": "ana",
        "segment_id": segment,
        "revision": revision,
        "text": "hola",
        "stable_prefix": 4,
        "is_final": True,
        "source_language": "en",
        "target_language": "es",
        "tier": Tier.PHRASEBOOK,
        "quality": 0.9,
        "untranslated": False,
        "mac": b"",
        "author_sequence": 1,
        "original_sha256": b"",
    }
    return Caption(**(facts | other))


def grant(lives_s: float = 120.0) -> Grant:
    return Grant("m", "ana", "luis", ("en",), ("es",), NOW + timedelta(seconds=lives_s))


def test_acknowledgements_are_cumulative() -> None:
    ledger = AckLedger()
    for sequence in (5, 6, 7):
        ledger.took(sequence)
    assert (ledger.told, ledger.through) == (4, 4)
    ledger.done(6)
    ledger.done(99)
    assert ledger.through == 4
    ledger.done(5)
    assert ledger.through == 6
    ledger.all_done()
    assert ledger.through == 7


@given(st.lists(st.integers(1, 12)), st.integers(1, 12))
def test_through_is_the_longest_done_beginning(done: list[int], count: int) -> None:
    ledger = AckLedger()
    for sequence in range(1, count + 1):
        ledger.took(sequence)
    for sequence in done:
        ledger.done(sequence)
    expected = next((n for n in range(1, count + 1) if n not in done), count + 1) - 1
    assert ledger.through == expected


def test_an_outbox_holds_until_the_receipt() -> None:
    outbox = Outbox()
    outbox.hold(caption("a"), 3)
    outbox.hold(caption("b"), 4)
    assert [held.caption.segment_id for held in outbox.waiting()] == ["a", "b"]
    for held in outbox.waiting():
        held.handed_over = True
    assert not list(outbox.waiting()) and len(outbox) == 2
    outbox.take_back()
    assert len(list(outbox.waiting())) == 2
    assert outbox.arrived(Receipt("m", "a", 1).key) == 3
    assert outbox.arrived(("a", 1)) is None
    assert outbox.again(("a", 1), 9) is True
    assert outbox.again(("b", 1), 9) is False
    assert outbox.again(("c", 1), 9) is None
    assert outbox.arrived(("b", 1)) == 9
    outbox.hold(caption("d"), 5)
    outbox.start_over()
    assert [held.sequence for held in outbox.held()] == [0]
    outbox.clear()
    assert len(outbox) == 0


def test_an_inbox_shows_once_and_confirms_once() -> None:
    inbox = Inbox()
    assert inbox.resumed("s1", 0) == []
    partial = caption(revision=1, is_final=False)
    assert inbox.wants(partial)
    inbox.shown(partial, 1)
    assert not inbox.wants(partial)
    final = caption(revision=2)
    assert inbox.wants(final)
    inbox.shown(final, 2)
    assert not inbox.wants(final) and not inbox.has(final.key)
    assert not inbox.wants(caption(revision=1, is_final=False))
    assert inbox.confirmed(1) == []
    assert inbox.confirmed(5) == [final.key]
    assert inbox.has(final.key) and not inbox.wants(final)
    assert inbox.confirmed(9) == []


def test_a_resume_confirms_what_the_device_handled_and_forgets_the_rest() -> None:
    inbox = Inbox()
    inbox.resumed("s1", 0)
    inbox.shown(caption("a"), 1)
    inbox.shown(caption("b"), 2)
    assert inbox.resumed("s1", 1) == [("a", 1)]
    assert inbox.wants(caption("b")) and not inbox.wants(caption("a"))
    inbox.shown(caption("b"), 1)
    # Numbers of another session say nothing about this one.
    assert inbox.resumed("s2", 1) == []
    assert inbox.wants(caption("b"))


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SEGMENTS", 2)
    monkeypatch.setattr(module, "MAX_KEPT", 2)
    side, inbox, outbox = Conversation(grant()), Inbox(), Outbox()
    for number, segment in enumerate("abc"):
        side.track(segment)
        outbox.hold(caption(segment), number)
        outbox.arrived((segment, 1))
        inbox.shown(caption(segment, is_final=False), number)
        inbox.shown(caption(segment, revision=2), number)
        inbox.confirmed(number)
    assert list(side.tracks) == ["b", "c"]
    assert outbox.again(("a", 1), 1) is None and outbox.again(("c", 1), 1) is True
    assert not inbox.has(("a", 2)) and inbox.has(("c", 2))
    assert inbox.wants(caption("a", is_final=False))


def test_grants_are_renewed_and_run_out() -> None:
    side = Conversation(grant(), my_name="Ana", partner_name="")
    assert side.names == ("Ana",)
    assert not side.expired(NOW) and side.expired(NOW + timedelta(seconds=121))
    side.renew(grant(10))
    assert not side.expired(NOW + timedelta(seconds=119))
    side.renew(grant(240))
    assert not side.expired(NOW + timedelta(seconds=239))
    side.outbox.hold(caption(), 3)
    side.enter()
    assert [held.sequence for held in side.outbox.held()] == [0]
