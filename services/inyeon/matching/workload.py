"""Synthetic people for benches and tests: seeded, skewed, nobody real.

The mix: 8 languages with a skew (40 % English to 3 % Arabic), one to three languages a person, half
with a wanted gender, one in five with wanted countries, interests around 40 topics, waits that fall
off exponentially.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from inyeon.matching.domain.interests import Encoding, Interests, Space, read_interests
from inyeon.matching.domain.languages import SpokenLanguage
from inyeon.matching.domain.people import AgeBand, Gender, Person
from inyeon.matching.domain.pool import Pool
from inyeon.matching.domain.tickets import Ticket, Wish

LANGUAGES = ("en", "es", "pt", "fr", "de", "ja", "ko", "ar")
LANGUAGE_SHARE = (0.40, 0.20, 0.12, 0.08, 0.08, 0.05, 0.04, 0.03)
LANGUAGE_COUNT_SHARE = (0.6, 0.3, 0.1)
GENDERS = (Gender.FEMALE, Gender.MALE, Gender.OTHER)
GENDER_SHARE = (0.45, 0.50, 0.05)
WANTED_GENDERS: tuple[frozenset[Gender], ...] = (
    frozenset(),
    frozenset({Gender.FEMALE}),
    frozenset({Gender.MALE}),
)
WANTED_GENDER_SHARE = (0.5, 0.3, 0.2)
COUNTRIES = ("US", "ES", "BR", "FR", "DE", "JP", "KR", "EG")
SPACE = Space("synthetic", "1", 64, Encoding.INT8_SCALED, 0.0)
TOPICS = 40
MEAN_WAIT_S = 15.0
MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SyntheticWaiter:
    """A ticket and for how long it has waited."""

    ticket: Ticket
    waited_s: float


def synthetic_waiters(count: int, seed: int, minors: float = 0.05) -> Iterator[SyntheticWaiter]:
    """`count` people, the same for the same seed; a share of `minors`, the rest adults."""
    rng = np.random.default_rng(seed)
    topics = rng.normal(size=(TOPICS, SPACE.dims))
    for number in range(count):
        band = AgeBand.MINOR if rng.random() < minors else AgeBand.ADULT
        country = COUNTRIES[int(rng.choice(len(COUNTRIES), p=LANGUAGE_SHARE))]
        gender = GENDERS[int(rng.choice(len(GENDERS), p=GENDER_SHARE))]
        person = Person(f"user-{number}", band, country, gender)
        ticket = Ticket(f"ticket-{number}", person, _wish(rng, topics), "main", MADE_AT)
        yield SyntheticWaiter(ticket, float(rng.exponential(MEAN_WAIT_S)))


def synthetic_pool(count: int, seed: int, minors: float = 0.05) -> Pool:
    """Those people in a pool at time 0, all present and with a pass until 30 s."""
    pool = Pool()
    for waiter in synthetic_waiters(count, seed, minors):
        pool.add(waiter.ticket, 0.0, -waiter.waited_s)
        pool.heartbeat(waiter.ticket.user_id, 0.0, present=True, pass_until=30.0)
    return pool


def _wish(
    rng: np.random.Generator, topics: np.ndarray[tuple[int, int], np.dtype[np.float64]]
) -> Wish:
    count = 1 + int(rng.choice(len(LANGUAGE_COUNT_SHARE), p=LANGUAGE_COUNT_SHARE))
    spoken = rng.choice(len(LANGUAGES), size=count, replace=False, p=LANGUAGE_SHARE)
    wanted = WANTED_GENDERS[int(rng.choice(len(WANTED_GENDERS), p=WANTED_GENDER_SHARE))]
    picky = rng.random() < 0.2
    return Wish(
        tuple(SpokenLanguage(LANGUAGES[tag], int(rng.integers(2, 6))) for tag in spoken),
        wanted,
        frozenset(rng.choice(COUNTRIES, size=3, replace=False).tolist()) if picky else frozenset(),
        _interests(topics[rng.integers(TOPICS)] + rng.normal(size=SPACE.dims) * 0.7),
        bool(rng.random() < 0.5),
    )


def _interests(numbers: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Interests:
    scale = float(np.abs(numbers).max()) / 127
    steps = np.rint(numbers / scale).astype(np.int8)
    return read_interests(SPACE, np.float32(scale).tobytes() + steps.tobytes())
