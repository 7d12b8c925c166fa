"""A crowd in which every gate shuts for somebody, and the judge of pairs.

The crowd is drawn as plain arrays. From them tickets are made for the engine; the judge reads the
arrays alone and shares no code and no table with the engine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.interests import Encoding, Space, read_interests
from inyeon.matching.domain.languages import Routes, SpokenLanguage
from inyeon.matching.domain.people import AgeBand, Gender, Person, Verdict
from inyeon.matching.domain.pool import Pool, Standing
from inyeon.matching.domain.tickets import Ticket, Wish
from inyeon.matching.workload import MADE_AT

TAGS = ("en", "es", "pt", "fr", "de", "ja", "ko", "ar")
TAG_SHARES = (0.40, 0.20, 0.12, 0.08, 0.08, 0.05, 0.04, 0.03)
COUNTRIES = ("US", "ES", "BR", "FR", "DE", "JP", "KR", "EG")
ROUTES = Routes.parse(["en-es", "en-fr", "en-pt", "es-pt"])
ROUTED = ((0, 1), (0, 3), (0, 2), (1, 2))
"""The same routes as places in TAGS."""
SPACE = Space("synthetic", "1", 8, Encoding.INT8, 1.0)
BARS = 12
"""Blocks and former partners of each person."""


class Rule(Enum):
    """What a pair may break, one a gate."""

    SANCTION = "SANCTION"
    NOT_CLEAR = "NOT_CLEAR"
    AWAY = "AWAY"
    SAFETY_PASS = "SAFETY_PASS"  # noqa: S105 - a gate
    AGE_UNKNOWN = "AGE_UNKNOWN"
    AGE_BAND = "AGE_BAND"
    GENDER = "GENDER"
    COUNTRY = "COUNTRY"
    LANGUAGE = "LANGUAGE"
    BLOCKED = "BLOCKED"
    REMATCH = "REMATCH"
    SAME_USER = "SAME_USER"


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """n people; times are seconds, the moment is 0."""

    band: NDArray[np.int64]
    """0 not declared, 1 minor, 2 adult."""
    gender: NDArray[np.int64]
    wants_gender: NDArray[np.bool_]
    """(n, 4); none set: any."""
    country: NDArray[np.int64]
    wants_country: NDArray[np.bool_]
    """(n, 8); none set: any."""
    level: NDArray[np.int64]
    """(n, 8) of each language, 0: not spoken."""
    welcome: NDArray[np.bool_]
    waited_s: NDArray[np.float64]
    present: NDArray[np.bool_]
    pass_left_s: NDArray[np.float64]
    verdict: NDArray[np.int64]
    sanction_left_s: NDArray[np.float64]
    blocked: NDArray[np.int64]
    """(n, BARS) whom each has blocked."""
    met: NDArray[np.int64]
    """(n, BARS) whom each has met."""
    met_left_s: NDArray[np.float64]
    """(n, BARS) how much of the horizon is left."""
    interests: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.band)


def draw(count: int, seed: int) -> Crowd:
    """People of whom some four fifths may be proposed at all."""
    rng = np.random.default_rng(seed)
    level = np.zeros((count, len(TAGS)), np.int64)
    for spoken in range(3):
        speaks = rng.random(count) < (1.0, 0.4, 0.1)[spoken]
        tag = rng.choice(len(TAGS), count, p=TAG_SHARES)
        level[speaks, tag[speaks]] = rng.integers(1, 6, count)[speaks]
    return Crowd(
        band=rng.choice(3, count, p=(0.03, 0.25, 0.72)),
        gender=rng.choice(4, count, p=(0.05, 0.43, 0.47, 0.05)),
        wants_gender=_wishes(rng, count, 4, 0.5, first=1),
        country=rng.choice(len(COUNTRIES), count, p=TAG_SHARES),
        wants_country=_wishes(rng, count, len(COUNTRIES), 0.3),
        level=level,
        welcome=rng.random(count) < 0.5,
        waited_s=rng.exponential(15, count),
        present=rng.random(count) < 0.95,
        pass_left_s=rng.choice((-1.0, 0.0, 20.0), count, p=(0.03, 0.01, 0.96)),
        verdict=rng.choice(4, count, p=(0.46, 0.5, 0.02, 0.02)),
        sanction_left_s=rng.choice((-60.0, 60.0), count, p=(0.96, 0.04)),
        blocked=rng.integers(0, count, (count, BARS)),
        met=rng.integers(0, count, (count, BARS)),
        met_left_s=rng.choice((-5.0, 5.0), (count, BARS)),
        interests=rng.integers(-127, 128, (count, SPACE.dims)).astype(np.int8) | 1,
    )


def _wishes(
    rng: np.random.Generator, count: int, answers: int, picky: float, first: int = 0
) -> NDArray[np.bool_]:
    wishes = rng.random((count, answers)) < 0.4
    wishes[:, :first] = False
    wishes[rng.random(count) >= picky] = False
    return wishes


def without(crowd: Crowd, rule: Rule) -> Crowd:
    """The crowd as an engine sees it that has forgotten this gate."""
    nobody = np.arange(len(crowd))[:, None].repeat(BARS, axis=1)
    changes: dict[Rule, dict[str, NDArray[np.generic]]] = {
        Rule.SANCTION: {"sanction_left_s": np.full(len(crowd), -1.0)},
        Rule.NOT_CLEAR: {"verdict": np.ones(len(crowd), np.int64)},
        Rule.AWAY: {"present": np.ones(len(crowd), np.bool_)},
        Rule.SAFETY_PASS: {"pass_left_s": np.full(len(crowd), 9.0)},
        Rule.AGE_UNKNOWN: {"band": np.where(crowd.band == 0, 2, crowd.band)},
        Rule.AGE_BAND: {"band": np.where(crowd.band == 1, 2, crowd.band)},
        Rule.GENDER: {"wants_gender": np.zeros_like(crowd.wants_gender)},
        Rule.COUNTRY: {"wants_country": np.zeros_like(crowd.wants_country)},
        Rule.LANGUAGE: {"level": np.maximum(crowd.level, 1)},
        Rule.BLOCKED: {"blocked": nobody},
        Rule.REMATCH: {"met": nobody},
    }
    return replace(crowd, **changes[rule])  # type: ignore[arg-type] # by name


def pool_of(crowd: Crowd) -> Pool:
    """The crowd in a real pool at time 0."""
    pool = Pool()
    for number in range(len(crowd)):
        standing = Standing(
            Verdict(int(crowd.verdict[number])), float(crowd.sanction_left_s[number])
        )
        ticket = _ticket(crowd, number)
        pool.add(ticket, 0.0, -float(crowd.waited_s[number]), standing)
        here, until = bool(crowd.present[number]), float(crowd.pass_left_s[number])
        pool.heartbeat(ticket.user_id, 0.0, present=here, pass_until=until)
    for number in range(len(crowd)):
        for other in set(crowd.blocked[number].tolist()) - {number}:
            pool.bar(_name(number), _name(other), np.inf)
        for other, left in zip(crowd.met[number].tolist(), crowd.met_left_s[number], strict=True):
            if other != number:
                pool.bar(_name(number), _name(other), float(left))
    return pool


def broken(crowd: Crowd, pairs: NDArray[np.int64]) -> dict[Rule, int]:
    """How many of the pairs (k, 2) break each rule; those that break none are not named."""
    one, other = pairs.T
    counts = {
        rule: int((one_breaks | other_breaks).sum())
        for (rule, one_breaks), other_breaks in zip(
            _breaks(crowd, one, other).items(), _breaks(crowd, other, one).values(), strict=True
        )
    }
    return {rule: count for rule, count in counts.items() if count}


def _breaks(
    crowd: Crowd, a: NDArray[np.int64], b: NDArray[np.int64]
) -> dict[Rule, NDArray[np.bool_]]:
    """(k,) for each rule: `a` breaks it, or has a wish that `b` does not fulfil."""
    picky, choosy = crowd.wants_gender[a].any(axis=1), crowd.wants_country[a].any(axis=1)
    met = (crowd.met[a] == b[:, None]) & (crowd.met_left_s[a] > 0)
    return {
        Rule.SANCTION: crowd.sanction_left_s[a] > 0,
        Rule.NOT_CLEAR: crowd.verdict[a] >= 2,
        Rule.AWAY: ~crowd.present[a],
        Rule.SAFETY_PASS: crowd.pass_left_s[a] <= 0,
        Rule.AGE_UNKNOWN: crowd.band[a] == 0,
        Rule.AGE_BAND: crowd.band[a] != crowd.band[b],
        Rule.GENDER: picky & ~crowd.wants_gender[a, crowd.gender[b]],
        Rule.COUNTRY: choosy & ~crowd.wants_country[a, crowd.country[b]],
        Rule.LANGUAGE: ~_understand(crowd, a, b),
        Rule.BLOCKED: (crowd.blocked[a] == b[:, None]).any(axis=1),
        Rule.REMATCH: met.any(axis=1),
        Rule.SAME_USER: a == b,
    }


def _understand(
    crowd: Crowd, one: NDArray[np.int64], other: NDArray[np.int64]
) -> NDArray[np.bool_]:
    mine, theirs = crowd.level[one] > 0, crowd.level[other] > 0
    common = np.asarray((mine & theirs).any(axis=1))
    both_welcome = crowd.welcome[one] & crowd.welcome[other]
    for low, high in ROUTED:
        routed = mine[:, low] & theirs[:, high] | mine[:, high] & theirs[:, low]
        common = np.logical_or(common, routed & both_welcome)
    return common


def _name(number: int) -> str:
    return f"user-{number}"


def _ticket(crowd: Crowd, number: int) -> Ticket:
    tags = np.flatnonzero(crowd.level[number]).tolist()
    genders = np.flatnonzero(crowd.wants_gender[number]).tolist()
    countries = np.flatnonzero(crowd.wants_country[number]).tolist()
    person = Person(
        _name(number),
        AgeBand(int(crowd.band[number])),
        COUNTRIES[int(crowd.country[number])],
        Gender(int(crowd.gender[number])),
    )
    wish = Wish(
        tuple(SpokenLanguage(TAGS[tag], int(crowd.level[number, tag])) for tag in tags),
        frozenset(Gender(gender) for gender in genders),
        frozenset(COUNTRIES[country] for country in countries),
        read_interests(SPACE, crowd.interests[number].tobytes()),
        bool(crowd.welcome[number]),
    )
    return Ticket(f"ticket-{number}", person, wish, "main", MADE_AT)
