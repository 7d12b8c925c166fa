"""The engine's parts: compiled as plain, groups, effort, seekers, vectors of every encoding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inyeon.matching.domain.clusters import MAX_SPACES, cluster
from inyeon.matching.domain.columns import ROW
from inyeon.matching.domain.interests import (
    MAX_DIMS,
    MAX_LENGTH,
    Encoding,
    Interests,
    Space,
    read_interests,
)
from inyeon.matching.domain.languages import Routes, SpokenLanguage
from inyeon.matching.domain.people import AgeBand
from inyeon.matching.domain.pool import Bar, Pool
from inyeon.matching.domain.products import product
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.snapshot import Snapshot, SpaceGroup
from inyeon.matching.domain.tickets import Ticket
from inyeon.matching.domain.waves import Effort, Wave, WaveRules, decide, warm_up
from inyeon.matching.workload import synthetic_waiters

pytestmark = pytest.mark.unit

ROUTES = Routes.parse(["en-es", "en-fr", "en-pt", "ja-ko"])
RULES = WaveRules(Patience(start=0.3), ROUTES)
TICKETS = [waiter.ticket for waiter in synthetic_waiters(400, seed=11, minors=0.2)]


def crowd(
    tickets: list[Ticket], bars: dict[int, list[int]] | None = None, wait_s: float = 9.0
) -> Snapshot:
    """Everybody ready; the earlier, the longer they have waited."""
    pool = Pool()
    for number, ticket in enumerate(tickets):
        barred = [Bar(tickets[other].user_id, 1e9) for other in (bars or {}).get(number, [])]
        assert pool.add(ticket, 0.0, -wait_s / (number + 1), bars=barred)
        pool.heartbeat(ticket.user_id, 0.0, present=True, pass_until=30.0)
    return pool.snapshot(1.0)


def with_interests(ticket: Ticket, interests: Interests) -> Ticket:
    return replace(ticket, wish=replace(ticket.wish, interests=interests))


def mixed() -> Snapshot:
    """Two spaces, many languages, blocks, some without a declared age."""
    tickets = list(TICKETS[:90])
    other = Space("other", "2", 8, Encoding.INT8, 1.0)
    rng = np.random.default_rng(3)
    for number in range(0, 90, 4):
        data = rng.integers(-90, 90, 8).astype(np.int8).tobytes()
        tickets[number] = with_interests(tickets[number], read_interests(other, data))
    for number, tag in enumerate(f"{a}{b}" for a in "qwx" for b in "abcdefghijklmnopqrstuvwxyz"):
        wish = tickets[number].wish
        languages = (*wish.languages, SpokenLanguage(tag, 3))
        both = replace(wish, languages=languages)
        tickets[number] = replace(tickets[number], wish=both)
        tickets[-1 - number % 9] = replace(tickets[-1 - number % 9], wish=both)
    stranger = replace(tickets[5].person, age_band=AgeBand.UNKNOWN)
    tickets[5] = replace(tickets[5], person=stranger)
    bars = {n: [(n + k) % 90 for k in range(1, 30)] for n in range(0, 90, 7)}
    return crowd(tickets, bars)


def facts_of(wave: Wave) -> tuple[object, ...]:
    return wave.pairs, wave.fitting.tolist(), wave.gap, wave.shed


@pytest.mark.parametrize(
    "effort", [Effort(), Effort(cluster=10, scored=12, kept=4), Effort(people=60, kept=2)]
)
def test_compiled_and_plain_decide_alike(effort: Effort, request: pytest.FixtureRequest) -> None:
    rules = replace(RULES, effort=effort)
    snapshots = [mixed(), crowd(TICKETS[:130], wait_s=0.1), crowd(TICKETS[:1]), Snapshot.empty()]
    compiled = [facts_of(decide(snapshot, rules, 4)) for snapshot in snapshots]
    request.getfixturevalue("plainly")
    assert [facts_of(decide(snapshot, rules, 4)) for snapshot in snapshots] == compiled
    assert len(decide(snapshots[0], rules, 4).pairs) > 3


def test_warming_up_needs_nobody() -> None:
    warm_up()
    assert facts_of(decide(Snapshot.empty(), RULES, 1)) == ((), [], 0.0, 0)


def test_those_who_waited_longest_come_first_when_a_pass_cannot_take_everybody() -> None:
    snapshot = crowd(TICKETS[:200])
    rules = WaveRules(Patience(start=0.0), ROUTES, Effort(people=50))
    wave = decide(snapshot, rules, 1)
    assert wave.shed == 150
    assert wave.snapshot.tickets == snapshot.tickets[:50]
    assert len(wave.fitting) == 50 and len(wave.pairs) > 5


def test_only_pairs_with_a_seeker_are_looked_at() -> None:
    snapshot = crowd(TICKETS[:150], wait_s=0.0)
    rules = WaveRules(Patience(start=0.0), ROUTES)
    seekers = np.array([3, 77, 149])
    wave = decide(snapshot, rules, 1, seekers)
    assert 1 <= len(wave.pairs) <= 3
    for pair in wave.pairs:
        assert {pair.one, pair.other} & set(seekers.tolist())
    everybody = decide(snapshot, rules, 1)
    assert wave.fitting[seekers].tolist() == everybody.fitting[seekers].tolist()
    assert wave.fitting.sum() == wave.fitting[seekers].sum()
    assert decide(snapshot, rules, 1, np.zeros(0, np.int64)).pairs == ()


def test_small_groups_still_count_everybody_who_fits() -> None:
    snapshot = crowd(TICKETS)
    rules = WaveRules(Patience(start=0.0), ROUTES)
    whole = decide(snapshot, replace(rules, effort=Effort(cluster=10_000)), 1)
    parts = decide(snapshot, replace(rules, effort=Effort(cluster=12, scored=20)), 1)
    assert parts.fitting.tolist() == whole.fitting.tolist()
    assert len(parts.pairs) >= 0.9 * len(whole.pairs)


def test_people_who_are_all_alike_are_not_sent_to_the_same_few() -> None:
    """Equal vectors are one group; each scores only 8 of 199."""
    adult = replace(TICKETS[0].person, age_band=AgeBand.ADULT)
    wish = replace(TICKETS[0].wish, genders=frozenset(), countries=frozenset())
    same = [
        replace(TICKETS[n], person=replace(adult, user_id=f"u{n}"), wish=wish) for n in range(200)
    ]
    wave = decide(crowd(same), replace(RULES, effort=Effort(cluster=20, scored=8, kept=4)), 1)
    assert len(wave.pairs) >= 90


def test_rare_people_go_first() -> None:
    """Somebody whose only language one other person speaks gets that person, although 31 others are
    a little more alike to them and one of these stays alone."""
    plane = Space("plane", "1", 2, Encoding.INT8, 1.0)

    def person(name: str, languages: tuple[str, ...], numbers: bytes) -> Ticket:
        wish = replace(
            TICKETS[0].wish,
            genders=frozenset(),
            countries=frozenset(),
            languages=tuple(SpokenLanguage(tag, 5) for tag in languages),
            interests=read_interests(plane, numbers),
        )
        adult = replace(TICKETS[0].person, user_id=name, age_band=AgeBand.ADULT)
        return Ticket(name, adult, wish, "main", TICKETS[0].created_at)

    rare, bridge = person("rare", ("ko",), bytes([100, 20])), person("b", ("de", "ko"), b"\x64\x00")
    easy = [person(f"easy-{n}", ("de",), b"\x64\x01") for n in range(31)]
    snapshot = crowd([rare, bridge, *easy], wait_s=0.0)
    wave = decide(snapshot, WaveRules(Patience(start=0.0)), 1)
    assert (0, 1) in {(pair.one, pair.other) for pair in wave.pairs}
    assert len(wave.pairs) == 16 and wave.fitting[:2].tolist() == [1, 32]
    assert wave.pairs[0].score == pytest.approx(0.5 + 0.98058 + 0.25 + 0.25 / 60, abs=1e-3)


@given(st.integers(1, 60), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_groups_hold_everybody_once_and_one_band_each(people: int, seed: int) -> None:
    snapshot = crowd(TICKETS[: people + 20])
    clusters, places = cluster(snapshot, seed, 7)
    assert sorted(places.tolist()) == list(range(people + 20))
    ages = snapshot.rows["age"][places]
    for number in range(len(clusters.start) - 1):
        inside = slice(clusters.start[number], clusters.start[number + 1])
        assert (clusters.of[inside] == number).all()
        assert len(set(ages[inside].tolist())) <= 1
        near = [other for other in clusters.near[number].tolist() if other >= 0]
        if ages[inside].size:
            assert near[0] == number
            bands = {ages[clusters.start[o]] for o in near if clusters.start[o] < len(ages)}
            assert bands <= {ages[inside][0]} or any(
                clusters.start[o] == clusters.start[o + 1] for o in near
            )


def test_a_flood_of_spaces_is_one_group() -> None:
    tickets = [
        with_interests(
            ticket, read_interests(Space(f"own-{n}", "1", 2, Encoding.INT8, 1.0), b"\x01\x02")
        )
        for n, ticket in enumerate(TICKETS[:100])
    ]
    clusters, _ = cluster(crowd(tickets), 1, 5)
    assert len(clusters.start) - 1 <= 2 * (MAX_SPACES + 1) + 1
    assert len(decide(crowd(tickets), WaveRules(Patience(0.0), ROUTES), 1).pairs) > 20


def test_some_of_a_snapshot_keep_their_bars_and_vectors() -> None:
    snapshot = mixed()
    chosen = np.arange(1, len(snapshot), 2)
    some = snapshot.take(chosen)
    assert some.tickets == tuple(snapshot.tickets[n] for n in chosen)
    names = [ticket.user_id for ticket in snapshot.tickets]
    before = {
        frozenset((names[a], names[b])) for a, b in snapshot.barred.tolist() if a % 2 and b % 2
    }
    kept = [ticket.user_id for ticket in some.tickets]
    assert {frozenset((kept[a], kept[b])) for a, b in some.barred.tolist()} == before
    assert before
    for group in some.spaces:
        for place, steps in zip(group.places.tolist(), group.steps, strict=True):
            assert steps.tolist() == some.tickets[place].wish.interests.steps.tolist()
    assert len(snapshot.take(np.zeros(0, np.int64))) == 0


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("dims", [1, 64, 972, 973, MAX_DIMS])
@pytest.mark.parametrize("shape", ["spread", "flat", "one"])
def test_steps_point_where_the_vector_points_and_stay_exact(
    encoding: Encoding, dims: int, shape: str
) -> None:
    rng = np.random.default_rng(dims)
    numbers = {
        "spread": rng.integers(-127, 128, dims),
        "flat": np.full(dims, -127),
        "one": np.eye(1, dims)[0] * 100,
    }[shape]
    if not numbers.any():
        numbers[0] = 1
    kind = np.float16 if encoding is Encoding.FLOAT16 else np.int8
    head = np.float32(0.5).tobytes() if encoding is Encoding.INT8_SCALED else b""
    scale = 1.0 if encoding is Encoding.INT8 else 0.0
    space = Space("any", "1", dims, encoding, scale)
    read = read_interests(space, head + numbers.astype(kind).tobytes())
    steps = read.steps.astype(np.float64)
    length = np.linalg.norm(steps)
    assert read.steps.dtype == np.int8 and 0 < length < 4096
    assert steps @ read.direction / length > 0.999
    assert length <= MAX_LENGTH + 24


def test_products_of_vectors_of_2048_numbers_are_the_same_in_every_order() -> None:
    rng = np.random.default_rng(1)
    space = Space("long", "1", MAX_DIMS, Encoding.FLOAT16, 0.0)
    one, other = (
        read_interests(space, rng.normal(size=MAX_DIMS).astype(np.float16).tobytes()).steps
        for _ in range(2)
    )
    exact = int(one.astype(np.int64) @ other.astype(np.int64))
    as_float = product(one.astype(np.float32), other.astype(np.float32))
    assert as_float == exact


def test_an_empty_group_of_vectors_is_left_out() -> None:
    rows = np.zeros(2, ROW)
    group = SpaceGroup(np.array([0, 1]), np.ones((2, 3), np.int8), np.ones(2, np.float32))
    snapshot = Snapshot(
        (TICKETS[0], TICKETS[1]), rows, np.zeros(2), (group,), np.zeros((0, 2), np.int64)
    )
    assert snapshot.take(np.zeros(0, np.int64)).spaces == ()
