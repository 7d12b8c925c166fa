"""Checks of the log level: what the small workload was told, against what happened.

An order is `(id, key, amount)`. The producer turns it into one fact, one event and one state; the
consumer adds `amount` to the key's balance and writes one line of its journal. Invariants 4 (every
accepted event has exactly one effect) and 7 (replay gives the same state).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from inyeon_chaos.evidence import Breach, LogRecord
from inyeon_chaos.history import Entry, Kind

ONE_EFFECT = 4
SAME_STATE = 7


@dataclass(frozen=True, slots=True)
class Order:
    """One thing asked of the producer."""

    order_id: str
    key: str
    amount: int


@dataclass(frozen=True, slots=True)
class Applied:
    """One line of the consumer's journal, in the order in which it was written."""

    order_id: str
    key: str
    amount: int
    version: int


@dataclass(frozen=True, slots=True)
class KeyState:
    """What the consumer holds of one key."""

    balance: int
    """Sum of the amounts of its events."""
    version: int
    """Version of the newest state applied."""
    total: int
    """What that state says."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run."""

    history: Sequence[Entry]
    published: Sequence[LogRecord]
    """Records of the topic of events; headers `order_id`, `amount`, `version`."""
    states: Sequence[LogRecord]
    """Records of the topic of states; headers `total`, `version`."""
    journal: Sequence[Applied]
    held: dict[str, KeyState]


@dataclass(frozen=True, slots=True)
class Tally:
    """What is reported."""

    sent: int
    accepted: int
    lost: int
    """Accepted, without effect."""
    doubled: int
    """With more than one effect."""
    republished: int
    """Records published again with the same event id: allowed, and what makes the rest hard."""


def tally(outcome: Outcome) -> Tally:
    """Counts."""
    applied = Counter(line.order_id for line in outcome.journal)
    accepted = _orders(outcome.history, Kind.ACCEPTED)
    ids = Counter(record.event_id for record in outcome.published)
    return Tally(
        sent=len(_orders(outcome.history, Kind.SENT)),
        accepted=len(accepted),
        lost=sum(1 for order_id in accepted if not applied[order_id]),
        doubled=sum(1 for count in applied.values() if count > 1),
        republished=sum(count - 1 for count in ids.values()),
    )


def check(outcome: Outcome) -> list[Breach]:
    """Every breach that the run shows."""
    return [
        *_lost(outcome),
        *_doubled(outcome),
        *_made_up(outcome),
        *_two_events(outcome),
        *_out_of_order(outcome),
        *_wrong_balance(outcome),
        *_other_state(outcome),
    ]


def _orders(history: Iterable[Entry], kind: Kind) -> dict[str, Entry]:
    return {e.text("id"): e for e in history if e.kind is kind and e.what == "order"}


def _lost(outcome: Outcome) -> list[Breach]:
    done = {line.order_id for line in outcome.journal}
    return [
        Breach(ONE_EFFECT, f"accepted order {order_id} has no effect", (entry.place,))
        for order_id, entry in _orders(outcome.history, Kind.ACCEPTED).items()
        if order_id not in done
    ]


def _doubled(outcome: Outcome) -> list[Breach]:
    counts = Counter(line.order_id for line in outcome.journal)
    sent = _orders(outcome.history, Kind.SENT)
    return [
        Breach(ONE_EFFECT, f"order {order_id} has {count} effects", _place_of(sent, order_id))
        for order_id, count in counts.items()
        if count > 1
    ]


def _made_up(outcome: Outcome) -> list[Breach]:
    sent = {
        order_id: Order(order_id, entry.text("key"), int(entry.fields["amount"]))
        for order_id, entry in _orders(outcome.history, Kind.SENT).items()
    }
    return [
        Breach(ONE_EFFECT, f"effect of order {line.order_id} is not what was sent")
        for line in outcome.journal
        if sent.get(line.order_id) != Order(line.order_id, line.key, line.amount)
    ]


def _two_events(outcome: Outcome) -> list[Breach]:
    """The same event may be published twice; one order must never become two events."""
    events: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for record in outcome.published:
        events[record.headers["order_id"]].setdefault(record.event_id, record.place)
    return [
        Breach(ONE_EFFECT, f"order {order_id} became {len(ids)} events", tuple(ids.values()))
        for order_id, ids in events.items()
        if len(ids) > 1
    ]


def _out_of_order(outcome: Outcome) -> list[Breach]:
    """First appearances of a key's versions rise, in the topics and in the journal."""
    found = []
    for records in (outcome.published, outcome.states):
        highest: dict[str, int] = {}
        seen: set[str] = set()
        for record in records:
            version = int(record.headers["version"])
            if record.event_id in seen:
                continue
            seen.add(record.event_id)
            if version <= highest.get(record.key, 0):
                says = f"version {version} of {record.key} follows {highest[record.key]}"
                found.append(Breach(ONE_EFFECT, says, (record.place,)))
            highest[record.key] = max(version, highest.get(record.key, 0))
    return found + _journal_out_of_order(outcome.journal)


def _journal_out_of_order(journal: Sequence[Applied]) -> list[Breach]:
    found = []
    highest: dict[str, int] = {}
    for line in journal:
        if line.version < highest.get(line.key, 0):
            says = f"effect {line.version} of {line.key} came after {highest[line.key]}"
            found.append(Breach(ONE_EFFECT, says))
        highest[line.key] = max(line.version, highest.get(line.key, 0))
    return found


def _wrong_balance(outcome: Outcome) -> list[Breach]:
    """The balance is not written from the journal, so it shows an effect that the journal hides."""
    expected: Counter[str] = Counter()
    for line in outcome.journal:
        expected[line.key] += line.amount
    keys = expected.keys() | outcome.held.keys()
    return [
        Breach(ONE_EFFECT, f"balance of {key} is {_balance(outcome, key)}, not {expected[key]}")
        for key in sorted(keys)
        if _balance(outcome, key) != expected[key]
    ]


def _balance(outcome: Outcome, key: str) -> int:
    held = outcome.held.get(key)
    return held.balance if held is not None else 0


def _other_state(outcome: Outcome) -> list[Breach]:
    replayed, live = state_hash(replay(outcome)), state_hash(outcome.held)
    if replayed == live:
        return []
    return [Breach(SAME_STATE, f"replay gives {replayed[:12]}, the database holds {live[:12]}")]


def replay(outcome: Outcome) -> dict[str, KeyState]:
    """The state that the topics alone give, repetitions included."""
    balance: Counter[str] = Counter()
    applied: set[str] = set()
    newest: dict[str, tuple[int, int]] = {}
    for record in outcome.published:
        if record.event_id not in applied:
            applied.add(record.event_id)
            balance[record.key] += int(record.headers["amount"])
    for record in outcome.states:
        said = int(record.headers["version"]), int(record.headers["total"])
        newest[record.key] = max(newest.get(record.key, (0, 0)), said)
    keys = balance.keys() | newest.keys()
    return {key: KeyState(balance[key], *newest.get(key, (0, 0))) for key in keys}


def state_hash(state: dict[str, KeyState]) -> str:
    """SHA-256 over the keys in order."""
    lines = [f"{key} {s.balance} {s.version} {s.total}\n" for key, s in sorted(state.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _place_of(entries: dict[str, Entry], order_id: str) -> tuple[str, ...]:
    entry = entries.get(order_id)
    return () if entry is None else (entry.place,)
