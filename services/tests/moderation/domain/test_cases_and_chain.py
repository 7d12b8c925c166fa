"""Order of cases, what a decision does, and the chain that nobody can change unseen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.moderation.domain.cases import Case, Decision
from inyeon.moderation.domain.chain import GENESIS, Entry, first_break
from inyeon.moderation.domain.directive import Action, own_action, partner_actions
from inyeon.moderation.domain.observation import Embedding
from inyeon.moderation.domain.verdict import Explanation, Transition, Verdict

pytestmark = pytest.mark.unit
T0 = datetime(2026, 1, 1, tzinfo=UTC)
WHY = Explanation("r", 0.9, 0.6, 3.0, (1, 2, 3))


def case(case_id: str, minutes: int, *, live: bool = False) -> Case:
    at = T0 + timedelta(minutes=minutes)
    return Case(case_id, "u", "s", "m", "R", Verdict.PROTECT, "p-1", "why", at, live)


def test_urgency() -> None:
    old, new, live = case("a", 0), case("b", 5), case("c", 9, live=True)
    first = case("d", 1).decided(Decision.CONFIRM, T0 + timedelta(hours=1))
    last = case("e", 2, live=True).decided(Decision.DISMISS, T0 + timedelta(hours=2))
    ordered = sorted([first, new, last, live, old], key=Case.urgency)
    assert [item.case_id for item in ordered] == ["c", "a", "b", "e", "d"]


def test_only_a_dismissed_protection_resets() -> None:
    assert case("a", 0).resets_verdict(Decision.DISMISS)
    assert not case("a", 0).resets_verdict(Decision.CONFIRM)
    reported = replace(case("a", 0), verdict=Verdict.UNKNOWN)
    assert not reported.resets_verdict(Decision.DISMISS)
    assert case("a", 0).open
    assert not case("a", 0).decided(Decision.CONFIRM, T0).open


def test_what_devices_are_told() -> None:
    up = Transition(Verdict.CLEAR, Verdict.PROTECT, "R", "p", WHY)
    down = Transition(Verdict.PROTECT, Verdict.CLEAR, "R", "p", WHY)
    doubt = Transition(Verdict.CLEAR, Verdict.UNSURE, "R", "p", WHY)
    assert (own_action(up), partner_actions(up)) == (
        Action.PROTECT,
        (Action.PROTECT, Action.WARN),
    )
    assert (own_action(down), partner_actions(down)) == (Action.CLEAR, (Action.CLEAR,))
    assert (own_action(doubt), partner_actions(doubt)) == (None, ())


def chain(notes: list[str]) -> list[tuple[Entry, str]]:
    made, previous = [], GENESIS
    for seq, note in enumerate(notes, start=1):
        entry = Entry(seq, f"c{seq}", "r1", "CONFIRM", note, T0.isoformat())
        previous = entry.hash_after(previous)
        made.append((entry, previous))
    return made


def head(entries: list[tuple[Entry, str]]) -> tuple[int, str]:
    return (len(entries), entries[-1][1]) if entries else (0, GENESIS)


@given(st.lists(st.text(max_size=20), max_size=8))
def test_a_whole_chain_holds(notes: list[str]) -> None:
    entries = chain(notes)
    assert first_break(entries, head(entries)) is None


@given(st.lists(st.text(max_size=5), min_size=1, max_size=6), st.data())
def test_every_change_is_seen(notes: list[str], data: st.DataObject) -> None:
    entries = chain(notes)
    place = data.draw(st.integers(0, len(entries) - 1))
    top = head(entries)
    entry, hashed = entries[place]
    changed = [*entries]
    changed[place] = (replace(entry, note=entry.note + "!"), hashed)
    assert first_break(changed, top) == place + 1
    assert first_break(entries[:place] + entries[place + 1 :], top) is not None
    assert first_break(entries[:-1], top) == len(entries)


def test_embeddings_are_compared_by_space() -> None:
    assert Embedding("a", "1", b"").space == ("a", "1")
