"""The checker of the log level: a whole run passes, and whatever is broken in it is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon_chaos.effects import Applied, KeyState, Outcome, check, replay, state_hash, tally
from inyeon_chaos.evidence import LogRecord
from inyeon_chaos.history import Entry, Kind

pytestmark = pytest.mark.unit

Orders = list[tuple[str, int]]
ORDERS = st.lists(
    st.tuples(st.sampled_from(["ana", "bob", "eve"]), st.integers(1, 99)), min_size=2, max_size=30
)


def run_of(orders: Orders) -> Outcome:
    """What a run without any fault leaves behind."""
    history: list[Entry] = []
    events: list[LogRecord] = []
    states: list[LogRecord] = []
    journal: list[Applied] = []
    held: dict[str, KeyState] = {}
    for number, (key, amount) in enumerate(orders, 1):
        order_id = f"order-{number}"
        fields: dict[str, str | int | float | bool] = {
            "id": order_id,
            "key": key,
            "amount": amount,
        }
        for kind in (Kind.SENT, Kind.ACCEPTED):
            history.append(Entry(len(history) + 1, float(number), kind, "order", fields))
        before = held.get(key, KeyState(0, 0, 0))
        now = KeyState(before.balance + amount, before.version + 1, before.total + amount)
        held[key] = now
        about = {"version": str(now.version), "event_id": f"event-{number}"}
        event = {**about, "order_id": order_id, "amount": str(amount)}
        state = {**about, "event_id": f"state-{number}", "total": str(now.total)}
        events.append(LogRecord("events", 0, number, key, b"", event))
        states.append(LogRecord("states", 0, number, key, b"", state))
        journal.append(Applied(order_id, key, amount, now.version))
    return Outcome(history, events, states, journal, held)


@given(ORDERS, st.data())
def test_a_whole_run_passes_also_with_repetitions_and_unanswered_orders(
    orders: Orders, data: st.DataObject
) -> None:
    run = run_of(orders)
    repeated = data.draw(st.integers(0, len(run.published)))
    unanswered = data.draw(st.integers(0, len(run.history) - 1))
    published = [*run.published, *run.published[:repeated]]
    history = [
        e for n, e in enumerate(run.history) if n != unanswered or e.kind is not Kind.ACCEPTED
    ]
    found = replace(run, published=published, history=history)
    assert check(found) == []
    assert (tally(found).lost, tally(found).doubled) == (0, 0)
    assert tally(found).republished == repeated


def _lose(run: Outcome) -> Outcome:
    return replace(run, journal=run.journal[1:])


def _double(run: Outcome) -> Outcome:
    return replace(run, journal=[*run.journal, run.journal[-1]])


def _make_up(run: Outcome) -> Outcome:
    return replace(run, journal=[*run.journal, Applied("order-0", "ana", 1, 999)])


def _misread(run: Outcome) -> Outcome:
    last = run.journal[-1]
    return replace(run, journal=[*run.journal[:-1], replace(last, amount=last.amount + 1)])


def _two_events(run: Outcome) -> Outcome:
    again = replace(run.published[0], headers={**run.published[0].headers, "event_id": "other"})
    return replace(run, published=[again, *run.published])


def _late_state(run: Outcome) -> Outcome:
    older = {**run.states[-1].headers, "version": "0", "event_id": "older"}
    return replace(run, states=[*run.states, replace(run.states[-1], headers=older)])


def _late_effect(run: Outcome) -> Outcome:
    return replace(run, journal=[*run.journal, replace(run.journal[-1], version=0)])


def _wrong_balance(run: Outcome) -> Outcome:
    key = run.journal[0].key
    held = {**run.held, key: replace(run.held[key], balance=run.held[key].balance + 1)}
    return replace(run, held=held)


def _stale_state(run: Outcome) -> Outcome:
    key = run.journal[0].key
    return replace(run, held={**run.held, key: replace(run.held[key], version=0)})


@pytest.mark.parametrize(
    ("breaking", "says"),
    [
        (_lose, "has no effect"),
        (_double, "has 2 effects"),
        (_make_up, "is not what was sent"),
        (_misread, "is not what was sent"),
        (_two_events, "became 2 events"),
        (_late_state, "version 0 of"),
        (_late_effect, "came after"),
        (_wrong_balance, "balance of"),
        (_stale_state, "replay gives"),
    ],
)
@given(orders=ORDERS)
def test_whatever_is_broken_is_named(
    breaking: Callable[[Outcome], Outcome], says: str, orders: Orders
) -> None:
    assert any(says in breach.says for breach in check(breaking(run_of(orders))))


@given(ORDERS)
def test_a_breach_names_the_entry_that_shows_it(orders: Orders) -> None:
    lost = next(b for b in check(_lose(run_of(orders))) if "no effect" in b.says)
    assert lost.places == ("history:2",)
    assert str(lost) == "invariant 4: accepted order order-1 has no effect [history:2]"


@given(ORDERS)
def test_tally_counts_what_is_lost_and_doubled(orders: Orders) -> None:
    run = run_of(orders)
    assert tally(_lose(run)).lost == 1
    assert tally(_double(run)).doubled == 1
    assert tally(run).sent == tally(run).accepted == len(orders)


@given(ORDERS)
def test_replaying_the_topics_twice_gives_the_same_state(orders: Orders) -> None:
    run = run_of(orders)
    twice = replace(run, published=[*run.published] * 2, states=[*run.states] * 2)
    assert state_hash(replay(twice)) == state_hash(run.held)
