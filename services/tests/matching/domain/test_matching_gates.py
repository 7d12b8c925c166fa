"""Gates and pairs of a wave, judged by an oracle that shares no code and no idea with them."""

from __future__ import annotations

import dataclasses
import math
from itertools import combinations

import networkx as nx  # type: ignore[import-untyped] # publishes no types
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inyeon.matching.domain.interests import Encoding, Space, read_interests
from inyeon.matching.domain.languages import Routes, SpokenLanguage
from inyeon.matching.domain.people import AgeBand, Gender, Person, Verdict
from inyeon.matching.domain.pool import Bar, Pool, Standing
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.tickets import Ticket, Wish
from inyeon.matching.domain.waves import Effort, Wave, WaveRules, decide
from inyeon.matching.workload import MADE_AT, synthetic_pool

pytestmark = pytest.mark.unit

ROUTES = Routes.parse(["en-es", "ja-ko"])
ANYBODY = WaveRules(Patience(start=0.0), ROUTES)
NOW = 100.0
EIGHT_BITS = 0.01
"""Interests are compared as whole numbers of 8 bits."""
SPACES = (
    Space("one", "1", 3, Encoding.INT8, 0.5),
    Space("one", "2", 3, Encoding.INT8, 0.5),
    Space("two", "1", 2, Encoding.FLOAT16, 0.0),
)


@dataclasses.dataclass(frozen=True)
class Waiter:
    """Everything about one waiting person that an oracle needs, in plain values."""

    band: AgeBand
    gender: Gender
    country: str
    wants: frozenset[Gender]
    places: frozenset[str]
    tongues: tuple[tuple[str, int], ...]
    welcome: bool
    space: int
    numbers: tuple[int, ...]
    waited: float
    present: bool
    pass_left: float
    verdict: Verdict
    sanction_left: float
    bars: frozenset[tuple[int, float]]


def oracle_ready(who: Waiter) -> bool:
    """Plain words: may this person be proposed at all?"""
    if who.sanction_left > 0 or who.verdict in (Verdict.UNSURE, Verdict.PROTECT):
        return False
    return who.present and who.pass_left > 0 and who.band is not AgeBand.UNKNOWN


def oracle_allows(people: list[Waiter], a: int, b: int) -> bool:
    """Plain words: may these two meet?"""
    x, y = people[a], people[b]
    if a == b or not oracle_ready(x) or not oracle_ready(y):
        return False
    if {x.band, y.band} not in ({AgeBand.ADULT}, {AgeBand.MINOR}):
        return False
    for seeker, found, other in ((x, y, b), (y, x, a)):
        if seeker.wants and found.gender not in seeker.wants:
            return False
        if seeker.places and found.country not in seeker.places:
            return False
        if any(who == other and left > 0 for who, left in seeker.bars):
            return False
    tags_x, tags_y = {t for t, _ in x.tongues}, {t for t, _ in y.tongues}
    if tags_x & tags_y:
        return True
    routed = any({p, q} in ({"en", "es"}, {"ja", "ko"}) for p in tags_x for q in tags_y)
    return routed and x.welcome and y.welcome


def oracle_score(x: Waiter, y: Waiter) -> float:
    """The score's formula, pair by pair."""
    cosine = 0.0
    if x.space == y.space:
        dot = sum(p * q for p, q in zip(x.numbers, y.numbers, strict=True))
        cosine = max(0.0, dot / math.hypot(*x.numbers) / math.hypot(*y.numbers))
    levels = [min(m, n) / 5 for s, m in x.tongues for t, n in y.tongues if s == t]
    quality = max(levels) if levels else 0.4
    credit = sum(min(who.waited, 60.0) / 60.0 for who in (x, y)) / 2
    return 0.5 + cosine + 0.25 * quality + 0.25 * credit


tongues = st.lists(
    st.tuples(st.sampled_from(["en", "es", "ja", "ko", "fil", "fr"]), st.integers(1, 5)),
    min_size=1,
    max_size=3,
    unique_by=lambda spoken: spoken[0],
).map(tuple)
nations = st.sampled_from(["US", "ES", "KR", "ZZ"])
left = st.sampled_from([-5.0, 0.0, 5.0])


@st.composite
def waiters(draw: st.DrawFn, size: int) -> Waiter:
    """Somebody, mostly ready, with every gate shut now and then."""
    space = draw(st.integers(0, 2))
    numbers = draw(
        st.tuples(*[st.integers(-9, 9)] * SPACES[space].dims).filter(lambda row: any(row))
    )
    mostly = st.sampled_from([5.0, 5.0, 5.0, 5.0, 5.0, -1.0])
    return Waiter(
        draw(st.sampled_from([AgeBand.ADULT] * 4 + [AgeBand.MINOR] * 2 + [AgeBand.UNKNOWN])),
        draw(st.sampled_from(Gender)),
        draw(st.one_of(nations, st.just(""))),
        draw(st.frozensets(st.sampled_from(list(Gender)[1:]), max_size=2)),
        draw(st.one_of(st.just(frozenset[str]()), st.frozensets(nations, max_size=3))),
        draw(tongues),
        draw(st.booleans()),
        space,
        numbers,
        draw(st.floats(0, 90)),
        draw(mostly) > 0,
        draw(mostly),
        draw(st.sampled_from([Verdict.NONE, Verdict.CLEAR, Verdict.CLEAR, *Verdict])),
        -draw(mostly),
        draw(st.frozensets(st.tuples(st.integers(0, size - 1), left), max_size=2)),
    )


def pooled(people: list[Waiter]) -> Pool:
    """The same people in a real pool."""
    pool = Pool()
    for number, who in enumerate(people):
        pool.add(
            ticket_of(number, who),
            NOW,
            NOW - who.waited,
            Standing(who.verdict, NOW + who.sanction_left),
            [Bar(f"u{other}", NOW + remaining) for other, remaining in who.bars],
        )
        pool.heartbeat(f"u{number}", NOW, who.present, NOW + who.pass_left)
    return pool


def ticket_of(number: int, who: Waiter) -> Ticket:
    space = SPACES[who.space]
    kind = np.float16 if space.encoding is Encoding.FLOAT16 else np.int8
    wish = Wish(
        tuple(SpokenLanguage(tag, level) for tag, level in who.tongues),
        who.wants,
        who.places,
        read_interests(space, np.array(who.numbers, kind).tobytes()),
        who.welcome,
    )
    person = Person(f"u{number}", who.band, who.country, who.gender)
    return Ticket(f"t{number}", person, wish, "main", MADE_AT)


def numbers_of(wave: Wave) -> list[tuple[int, int]]:
    """Pairs as numbers of people."""
    names = [int(ticket.user_id[1:]) for ticket in wave.snapshot.tickets]
    return [(names[pair.one], names[pair.other]) for pair in wave.pairs]


@settings(max_examples=60, deadline=None)
@given(st.lists(waiters(size=7), min_size=0, max_size=7), st.integers(0, 3))
def test_no_gate_breaks_and_every_fitting_person_is_counted(
    people: list[Waiter], seed: int
) -> None:
    wave = decide(pooled(people).snapshot(NOW), ANYBODY, seed)
    pairs = numbers_of(wave)
    flat = [person for pair in pairs for person in pair]
    assert len(flat) == len(set(flat))
    assert all(oracle_allows(people, a, b) for a, b in pairs)
    for place, ticket in enumerate(wave.snapshot.tickets):
        me = int(ticket.user_id[1:])
        fitting = sum(oracle_allows(people, me, other) for other in range(len(people)))
        assert wave.fitting[place] == fitting


@settings(max_examples=60, deadline=None)
@given(st.lists(waiters(size=7), min_size=2, max_size=7), st.integers(0, 3))
def test_nobody_is_left_while_two_free_people_fit_and_scores_are_the_formula(
    people: list[Waiter], seed: int
) -> None:
    wave = decide(pooled(people).snapshot(NOW), ANYBODY, seed)
    pairs = numbers_of(wave)
    taken = {person for pair in pairs for person in pair}
    free = [person for person in range(len(people)) if person not in taken]
    assert not any(oracle_allows(people, a, b) for a, b in combinations(free, 2))
    for (a, b), pair in zip(pairs, wave.pairs, strict=True):
        assert pair.score == pytest.approx(oracle_score(people[a], people[b]), abs=EIGHT_BITS)


@settings(max_examples=60, deadline=None)
@given(st.lists(waiters(size=10), min_size=4, max_size=10))
def test_no_pool_falls_below_what_greedy_guarantees(people: list[Waiter]) -> None:
    wave = decide(pooled(people).snapshot(NOW), ANYBODY, seed=1)
    graph = nx.Graph()
    for a, b in combinations(range(len(people)), 2):
        if oracle_allows(people, a, b):
            graph.add_edge(a, b, weight=oracle_score(people[a], people[b]))
    best = sum(graph[a][b]["weight"] for a, b in nx.max_weight_matching(graph))
    # Greedy alone guarantees a half; the mean over crowds is held to 0.9 below.
    assert sum(pair.score for pair in wave.pairs) >= 0.5 * best - 1e-2


@pytest.mark.parametrize("seed", range(5))
def test_crowds_reach_nineteen_twentieths_of_the_exact_optimum(seed: int) -> None:
    people = [
        dataclasses.replace(FIT, numbers=numbers, gender=gender, wants=wants, waited=waited)
        for numbers, gender, wants, waited in crowd(120, seed)
    ]
    wave = decide(pooled(people).snapshot(NOW), ANYBODY, seed)
    graph = nx.Graph()
    for a, b in combinations(range(len(people)), 2):
        if oracle_allows(people, a, b):
            graph.add_edge(a, b, weight=oracle_score(people[a], people[b]))
    best = sum(graph[a][b]["weight"] for a, b in nx.max_weight_matching(graph))
    assert sum(pair.score for pair in wave.pairs) >= 0.95 * best


def crowd(size: int, seed: int) -> list[tuple[tuple[int, ...], Gender, frozenset[Gender], float]]:
    """Interests, genders, wishes and waits."""
    rng = np.random.default_rng(seed)
    genders = (Gender.FEMALE, Gender.MALE)
    wishes = (frozenset[Gender](), frozenset({Gender.FEMALE}), frozenset({Gender.MALE}))
    return [
        (
            tuple(int(number) for number in rng.integers(1, 100, 3)),
            genders[rng.integers(2)],
            wishes[rng.choice(3, p=[0.5, 0.3, 0.2])],
            float(rng.exponential(15)),
        )
        for _ in range(size)
    ]


def test_the_same_wave_is_decided_alike_twice() -> None:
    first = decide(synthetic_pool(300, 7).snapshot(1.0), WaveRules(routes=ROUTES), 5)
    second = decide(synthetic_pool(300, 7).snapshot(1.0), WaveRules(routes=ROUTES), 5)
    assert first.pairs == second.pairs
    assert len(first.pairs) > 60


def test_people_of_many_groups_are_gated_and_compared_too() -> None:
    """Groups of some 40: pairs across and within groups must obey the same oracle."""
    pool = synthetic_pool(700, 3, minors=0.3)
    wave = decide(pool.snapshot(1.0), WaveRules(Patience(0.0), ROUTES, Effort(cluster=40)), 1)
    assert max(pair.one for pair in wave.pairs) > 300
    for pair in wave.pairs:
        one, other = wave.snapshot.tickets[pair.one], wave.snapshot.tickets[pair.other]
        assert one.person.age_band is other.person.age_band
        for mine, theirs in ((one, other), (other, one)):
            assert not mine.wish.genders or theirs.person.gender in mine.wish.genders
            assert not mine.wish.countries or theirs.person.country in mine.wish.countries


FIT = Waiter(
    AgeBand.ADULT,
    Gender.FEMALE,
    "US",
    frozenset({Gender.FEMALE}),
    frozenset({"US"}),
    (("en", 5),),
    True,
    0,
    (1, 2, 3),
    0.0,
    True,
    5.0,
    Verdict.CLEAR,
    -5.0,
    frozenset(),
)

SPOILT = {
    "AGE_BAND": {"band": AgeBand.MINOR},
    "AGE_UNKNOWN": {"band": AgeBand.UNKNOWN},
    "GENDER": {"gender": Gender.MALE},
    "GENDER_UNDECLARED": {"gender": Gender.UNKNOWN},
    "GENDER_WANTED": {"wants": frozenset({Gender.MALE})},
    "COUNTRY": {"country": "ES"},
    "COUNTRY_UNDECLARED": {"country": ""},
    "COUNTRY_WANTED": {"places": frozenset({"ES"})},
    "LANGUAGE": {"tongues": (("fr", 5),)},
    "LANGUAGE_TRANSLATION_UNWELCOME": {"tongues": (("es", 5),), "welcome": False},
    "BLOCKED": {"bars": frozenset({(0, math.inf), (1, math.inf)})},
    "REMATCH": {"bars": frozenset({(0, 1.0), (1, 1.0)})},
    "AWAY": {"present": False},
    "SAFETY_PASS": {"pass_left": 0.0},
    "UNSURE": {"verdict": Verdict.UNSURE},
    "PROTECT": {"verdict": Verdict.PROTECT},
    "SANCTION": {"sanction_left": 1.0},
}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("gate", SPOILT)
def test_each_gate_alone_keeps_two_people_apart(gate: str, first: bool) -> None:
    """Without any one of the gates this fails: the two fit in everything else."""
    other = dataclasses.replace(FIT, **SPOILT[gate])  # type: ignore[arg-type] # by name
    people = [other, FIT] if first else [FIT, other]
    assert decide(pooled(people).snapshot(NOW), ANYBODY, 1).pairs == ()
    waited = [dataclasses.replace(who, waited=1e6) for who in people]
    assert decide(pooled(waited).snapshot(NOW), ANYBODY, 1).pairs == ()


@pytest.mark.parametrize(
    "change",
    [{}, {"tongues": (("es", 5),)}, {"space": 2, "numbers": (1, 2)}, {"verdict": Verdict.NONE}],
)
def test_two_who_fit_in_everything_meet(change: dict[str, object]) -> None:
    other = dataclasses.replace(FIT, **change)  # type: ignore[arg-type] # by name
    assert len(decide(pooled([FIT, other]).snapshot(NOW), ANYBODY, 1).pairs) == 1


def test_more_languages_than_a_word_has_bits_are_told_apart() -> None:
    """70 tags, each spoken by two: only those two may meet, whatever word their bit is in."""
    tags = [a + b for a in "abcdefg" for b in "abcdefghij"]
    people = [dataclasses.replace(FIT, tongues=((tag, 3),)) for tag in tags for _ in range(2)]
    wave = decide(pooled(people).snapshot(NOW), ANYBODY, 1)
    assert sorted(tuple(sorted(pair)) for pair in numbers_of(wave)) == [
        (2 * n, 2 * n + 1) for n in range(70)
    ]
