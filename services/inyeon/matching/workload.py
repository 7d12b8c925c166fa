"""Synthetic people for benches and tests: seeded, skewed, nobody real.

The usual mix: 8 languages with a skew (40 % English to 3 % Arabic), one to three languages a
person, half with a wanted gender, one in five with wanted countries, interests around 40 topics,
waits that fall off exponentially.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.interests import Encoding, Interests, Space, read_interests
from inyeon.matching.domain.languages import Routes, SpokenLanguage
from inyeon.matching.domain.people import AgeBand, Gender, Person
from inyeon.matching.domain.pool import Pool
from inyeon.matching.domain.tickets import Ticket, Wish

LANGUAGES = ("en", "es", "pt", "fr", "de", "ja", "ko", "ar")
LANGUAGE_SHARE = (0.40, 0.20, 0.12, 0.08, 0.08, 0.05, 0.04, 0.03)
SPACE = Space("synthetic", "1", 64, Encoding.INT8_SCALED, 0.0)
MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of what people are and want; they add up to 1."""

    languages: tuple[str, ...] = LANGUAGES
    language_shares: tuple[float, ...] = LANGUAGE_SHARE
    language_counts: tuple[float, ...] = (0.6, 0.3, 0.1)
    """Of people who speak one, two, three languages."""
    genders: tuple[Gender, ...] = (Gender.FEMALE, Gender.MALE, Gender.OTHER)
    gender_shares: tuple[float, ...] = (0.45, 0.50, 0.05)
    wanted: tuple[frozenset[Gender], ...] = (
        frozenset(),
        frozenset({Gender.FEMALE}),
        frozenset({Gender.MALE}),
    )
    wanted_shares: tuple[float, ...] = (0.5, 0.3, 0.2)
    countries: tuple[str, ...] = ("US", "ES", "BR", "FR", "DE", "JP", "KR", "EG")
    """Of the languages above, in their order and with their shares."""
    picky_about_countries: float = 0.2
    translation_welcome: float = 0.5
    minors: float = 0.05
    topics: int = 40
    topic_noise: float = 0.7
    mean_wait_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Workload:
    """A committed workload: the same people for the same file."""

    seed: int
    routes: Routes
    mix: Mix


def read_workload(path: Path) -> Workload:
    """Raises KeyError or ValueError for a file that is none."""
    read = json.loads(path.read_text())
    return Workload(int(read["seed"]), Routes.parse(read["routes"]), _mix(read["mix"]))


@dataclass(frozen=True, slots=True)
class SyntheticWaiter:
    """A ticket and for how long it has waited."""

    ticket: Ticket
    waited_s: float


def synthetic_waiters(
    count: int, seed: int, minors: float | None = None, mix: Mix | None = None
) -> Iterator[SyntheticWaiter]:
    """`count` people, the same for the same seed and mix."""
    mix = mix or Mix()
    share = mix.minors if minors is None else minors
    rng = np.random.default_rng(seed)
    topics = rng.normal(size=(mix.topics, SPACE.dims))
    for number in range(count):
        band = AgeBand.MINOR if rng.random() < share else AgeBand.ADULT
        country = mix.countries[int(rng.choice(len(mix.countries), p=mix.language_shares))]
        gender = mix.genders[int(rng.choice(len(mix.genders), p=mix.gender_shares))]
        person = Person(f"user-{number}", band, country, gender)
        ticket = Ticket(f"ticket-{number}", person, _wish(rng, topics, mix), "main", MADE_AT)
        yield SyntheticWaiter(ticket, float(rng.exponential(mix.mean_wait_s)))


def synthetic_pool(
    count: int, seed: int, minors: float | None = None, mix: Mix | None = None
) -> Pool:
    """Those people in a pool at time 0, all present and with a pass until 30 s."""
    return pool_of(synthetic_waiters(count, seed, minors, mix), 30.0)


def pool_of(waiters: Iterator[SyntheticWaiter] | Sequence[SyntheticWaiter], pass_s: float) -> Pool:
    """They wait, all present and with a pass until `pass_s`."""
    pool = Pool()
    for waiter in waiters:
        pool.add(waiter.ticket, 0.0, -waiter.waited_s)
        pool.heartbeat(waiter.ticket.user_id, 0.0, present=True, pass_until=pass_s)
    return pool


def _wish(rng: np.random.Generator, topics: NDArray[np.float64], mix: Mix) -> Wish:
    count = 1 + int(rng.choice(len(mix.language_counts), p=mix.language_counts))
    spoken = rng.choice(len(mix.languages), size=count, replace=False, p=mix.language_shares)
    wanted = mix.wanted[int(rng.choice(len(mix.wanted), p=mix.wanted_shares))]
    picky = rng.random() < mix.picky_about_countries
    some = rng.choice(mix.countries, size=3, replace=False).tolist() if picky else []
    return Wish(
        tuple(SpokenLanguage(mix.languages[tag], int(rng.integers(2, 6))) for tag in spoken),
        wanted,
        frozenset(some),
        _interests(
            topics[rng.integers(mix.topics)] + rng.normal(size=SPACE.dims) * mix.topic_noise
        ),
        bool(rng.random() < mix.translation_welcome),
    )


def _interests(numbers: NDArray[np.float64]) -> Interests:
    scale = float(np.abs(numbers).max()) / 127
    steps = np.rint(numbers / scale).astype(np.int8)
    return read_interests(SPACE, np.float32(scale).tobytes() + steps.tobytes())


def _mix(read: dict[str, Any]) -> Mix:
    if read["dims"] != SPACE.dims:
        raise ValueError(f"dims: {read['dims']} is not {SPACE.dims}")
    genders = {Gender[name]: share for name, share in read["genders"].items()}
    wanted = {
        frozenset({Gender[name]} if name else ()): share
        for name, share in read["wanted_genders"].items()
    }
    return Mix(
        languages=tuple(read["languages"]),
        language_shares=tuple(read["languages"].values()),
        language_counts=tuple(read["language_counts"]),
        genders=tuple(genders),
        gender_shares=tuple(genders.values()),
        wanted=tuple(wanted),
        wanted_shares=tuple(wanted.values()),
        countries=tuple(read["countries"]),
        picky_about_countries=read["picky_about_countries"],
        translation_welcome=read["translation_welcome"],
        minors=read["minors"],
        topics=read["topics"],
        topic_noise=read["topic_noise"],
        mean_wait_s=read["mean_wait_s"],
    )
