"""The crowd of a scenario: who comes when. SIMULATED people, drawn from aggregates, nobody real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.interests import Encoding, Interests, Space, read_interests
from inyeon.matching.domain.languages import SpokenLanguage
from inyeon.matching.domain.people import AgeBand, Gender, Person
from inyeon.matching.domain.tickets import MAX_LANGUAGES, Wish
from inyeon.matching.simulation.calibration import HOURS, Calibration
from inyeon.matching.simulation.scenario import Scenario

SPACE = Space("simulated", "1", 64, Encoding.INT8_SCALED, 0.0)
TOPICS = 40
TOPIC_NOISE = 0.7
"""Same topic: cosines about 0.67; other topics about 0: what the sentence encoder measured."""
COUNTRIES = {
    "en": "US", "es": "ES", "pt": "BR", "fr": "FR", "de": "DE", "ja": "JP", "ko": "KR",
    "ar": "EG", "zh": "TW", "it": "IT", "ru": "KZ", "hi": "IN", "tr": "TR", "pl": "PL",
    "vi": "VN", "th": "TH", "id": "ID", "uk": "UA", "fa": "TJ",
}  # fmt: skip
"""Where speakers of a first language are said to be from."""
NO_COUNTRY = ""
MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)
OPPOSITE = {Gender.FEMALE: Gender.MALE, Gender.MALE: Gender.FEMALE}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who comes once and seeks several times."""

    person: Person
    wish: Wish
    arrives_at: float
    seeks: int
    """How many meetings they want before they go home, at least 1."""
    decade: str
    """Of age. Neither engine nor score ever see it: groups by it differ by chance alone."""


def make_crowd(scenario: Scenario, data: Calibration, seed: int) -> tuple[Visitor, ...]:
    """Everybody who comes, by time of arrival; the same for the same seed."""
    rng = np.random.default_rng([seed, 1])
    times = arrival_times(scenario, data, rng)
    topics = rng.normal(size=(TOPICS, SPACE.dims))
    return tuple(
        _visitor(rng, scenario, data, topics, number, at)
        for number, at in enumerate(times.tolist())
    )


def arrival_times(
    scenario: Scenario, data: Calibration, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Rising seconds: Poisson within each bin, at the hour's rate times a gamma burst."""
    starts = np.arange(0.0, scenario.duration_s, data.bin_s)
    lengths = np.minimum(data.bin_s, scenario.duration_s - starts)
    hours = ((scenario.from_hour + starts / 3600) % HOURS).astype(np.int64)
    rate = scenario.arrivals_per_s * HOURS * np.array(data.hour_share)[hours]
    bursts = rng.gamma(data.burst_shape, 1 / data.burst_shape, len(starts))
    counts = rng.poisson(rate * bursts * lengths)
    return np.sort(
        np.repeat(starts, counts) + rng.random(counts.sum()) * np.repeat(lengths, counts)
    )


def _visitor(
    rng: np.random.Generator,
    scenario: Scenario,
    data: Calibration,
    topics: NDArray[np.float64],
    number: int,
    at: float,
) -> Visitor:
    first = _pick(rng, scenario.languages)
    band = AgeBand.MINOR if rng.random() < scenario.minors else AgeBand.ADULT
    gender, wanted = _gender(rng, scenario, data)
    country = COUNTRIES.get(first, NO_COUNTRY)
    own_only = bool(country) and rng.random() < scenario.wants_countries
    wish = Wish(
        _languages(rng, scenario, data, first),
        wanted,
        frozenset({country}) if own_only else frozenset(),
        _interests(topics[_topic(rng)] + rng.normal(size=SPACE.dims) * TOPIC_NOISE),
        bool(rng.random() < scenario.translation_welcome),
    )
    person = Person(f"person-{number}", band, country, gender)
    seeks = int(rng.geometric(1 / data.partners_mean))
    decade = "minor" if band is AgeBand.MINOR else _pick(rng, data.decades)
    return Visitor(person, wish, at, seeks, decade)


def _pick(rng: np.random.Generator, chances: Mapping[str, float]) -> str:
    names = list(chances)
    return str(names[int(rng.choice(len(names), p=list(chances.values())))])


def _gender(
    rng: np.random.Generator, scenario: Scenario, data: Calibration
) -> tuple[Gender, frozenset[Gender]]:
    if rng.random() < scenario.other_gender:
        return Gender.OTHER, frozenset()
    gender = Gender.FEMALE if rng.random() < data.female else Gender.MALE
    orientation = _pick(rng, data.orientation[gender.name.lower()])
    if rng.random() >= scenario.wants_gender or orientation == "bisexual":
        return gender, frozenset()
    return gender, frozenset({gender if orientation == "gay" else OPPOSITE[gender]})


def _languages(
    rng: np.random.Generator, scenario: Scenario, data: Calibration, first: str
) -> tuple[SpokenLanguage, ...]:
    """Beside the first one: a scenario's own other languages where it has several, else the
    data's."""
    more = int(rng.choice(len(data.more_languages), p=data.more_languages))
    crowd = scenario.languages if len(scenario.languages) > 1 else data.second_languages
    others = {tag: share for tag, share in crowd.items() if tag != first and share > 0}
    total = sum(others.values())
    count = min(more, len(others), MAX_LANGUAGES - 1)
    tags = rng.choice(list(others), count, replace=False, p=[x / total for x in others.values()])
    levels = [int(_pick(rng, data.levels)) for _ in range(count)]
    spoken = [SpokenLanguage(str(tag), level) for tag, level in zip(tags, levels, strict=True)]
    return (SpokenLanguage(first, 5), *spoken)


def _topic(rng: np.random.Generator) -> int:
    """Some topics are loved more than others: shares fall as 1 / rank (Zipf)."""
    ranks = 1 / np.arange(1, TOPICS + 1)
    return int(rng.choice(TOPICS, p=ranks / ranks.sum()))


def _interests(numbers: NDArray[np.float64]) -> Interests:
    scale = float(np.abs(numbers).max()) / 127
    steps = np.rint(numbers / scale).astype(np.int8)
    return read_interests(SPACE, np.float32(scale).tobytes() + steps.tobytes())
