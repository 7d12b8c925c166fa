"""Scenarios and policies: small JSON files with every parameter by name. What no data tells is an
assumption and stands there, too.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from inyeon.matching.domain.languages import Routes
from inyeon.matching.domain.refusals import WishRefused
from inyeon.matching.domain.score_models import LINEAR_1, Term
from inyeon.matching.simulation.refusals import SimulationRefused, known, number, shares, text

KINDS = ("waves", "first-fit", "on-arrival")
MOST_TICKETS = 200_000
"""Arrivals of one run: more is a mistake in the file, not a workload for one core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Who comes, when, and how they are. Times in seconds, shares in [0, 1]."""

    name: str
    about: str
    from_hour: float
    """Local time at which it starts; the daily curve of the data goes on from there."""
    duration_s: float
    warm_up_s: float
    """Tickets made before then are in the pool but in no figure."""
    arrivals_per_s: float
    """People on an average of the whole day."""
    languages: Mapping[str, float]
    """First languages."""
    minors: float
    other_gender: float
    """Declared a gender beside the two that the data knows."""
    wants_gender: float
    """Share that filters by gender, as their orientation says."""
    wants_countries: float
    """Share that wants their own country only."""
    translation_welcome: float
    routes: tuple[str, ...]
    patience_s: float
    """Mean time that somebody waits before they leave."""
    patience_shape: float
    """Weibull shape of that time: 1 has no memory, above 1 people leave at about the same time."""
    predictable: float
    """Share of those who leave whose device shows it before."""
    away: float
    """Chance a heartbeat that nobody is in the picture until the next one."""
    blocks: float
    """Share of meetings after which one blocks the other."""
    rematch_horizon_s: float
    max_waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How pairs are chosen."""

    name: str
    kind: str = "waves"
    """`waves`: the service's engine. `first-fit`: random order, first one that fits, each wave.
    `on-arrival`: the best one that fits, at once."""
    wave_every_s: float = 1.0
    min_similarity: float = 0.4
    relaxed_after_s: float = 5.0
    easy_from: int | None = None
    """People with at least so many who fit are also looked at when somebody arrives."""
    leaving_first: bool = False
    """Who shows that they are about to leave counts as having waited long."""
    hard_first: bool = False
    """Whom at most HARD_FITS people fit counts as having waited long."""
    waiting_weight: float = LINEAR_1.weight(Term.WAITING)
    """What the waiting time counts in a score; it rises to the whole of it over a minute."""
    explore: float = 0.0
    """Share of waves in which anybody within the gates will do at once."""


def scenario_names() -> list[str]:
    """Scenarios that come with the package."""
    folder = files(__package__).joinpath("scenarios")
    return sorted(one.name.removesuffix(".json") for one in folder.iterdir())


def shipped_scenario(name: str) -> Scenario:
    """Raises SimulationRefused for an unknown name."""
    known("", [name], scenario_names())
    path = files(__package__).joinpath("scenarios", f"{name}.json")
    return read_scenario(json.loads(path.read_text("utf-8")))


def shipped_policies() -> tuple[Policy, ...]:
    """The policies of the default run."""
    return read_policies(
        json.loads(files(__package__).joinpath("policies.json").read_text("utf-8"))
    )


def read_scenario(facts: Any) -> Scenario:
    """Raises SimulationRefused naming the field."""
    _check_names("", facts, Scenario)
    span = {
        "from_hour": (0, 24),
        "duration_s": (10, 86_400),
        "warm_up_s": (0, 86_400),
        "arrivals_per_s": (1e-4, 1e4),
        "patience_s": (0.1, 86_400),
        "patience_shape": (0.2, 10),
        "rematch_horizon_s": (0, 1e6),
        "max_waiting": (2, 100_000),
    }
    plain = {"name", "about", "languages", "routes", *span}
    unit = {one.name: (0.0, 1.0) for one in dataclasses.fields(Scenario) if one.name not in plain}
    numbers = {
        name: number(name, facts[name], *bounds) for name, bounds in {**span, **unit}.items()
    }
    scenario = Scenario(
        name=text("name", facts["name"]),
        about=text("about", facts["about"]),
        languages=shares("languages", facts["languages"]),
        routes=_routes(facts["routes"]),
        **{**numbers, "max_waiting": int(numbers["max_waiting"])},  # type: ignore[arg-type]
    )
    return _sensible(scenario)


def read_policies(facts: Any) -> tuple[Policy, ...]:
    """Raises SimulationRefused naming the field, such as `policies[2].explore`."""
    if not isinstance(facts, list) or not facts:
        raise SimulationRefused("policies", "not a list of policies")
    read = tuple(_policy(f"policies[{place}].", one) for place, one in enumerate(facts))
    names = [one.name for one in read]
    if len(set(names)) < len(names):
        raise SimulationRefused("policies", "two have one name")
    return read


def _policy(at: str, facts: Any) -> Policy:
    if not isinstance(facts, Mapping):
        raise SimulationRefused(at.rstrip("."), "not an object")
    known(at, facts, [one.name for one in dataclasses.fields(Policy)])
    read = Policy(**{"name": "", **facts})
    text(f"{at}name", read.name)
    known(f"{at}kind.", [str(read.kind)], KINDS)
    number(f"{at}wave_every_s", read.wave_every_s, 0.05, 600)
    number(f"{at}min_similarity", read.min_similarity, 0, 1)
    number(f"{at}relaxed_after_s", read.relaxed_after_s, 0.001, 600)
    number(f"{at}explore", read.explore, 0, 1)
    number(f"{at}waiting_weight", read.waiting_weight, 0, 4)
    for name in ("leaving_first", "hard_first"):
        if not isinstance(getattr(read, name), bool):
            raise SimulationRefused(f"{at}{name}", "not true or false")
    if read.easy_from is not None:
        number(f"{at}easy_from", read.easy_from, 0, 1e6)
    return read


def _check_names(at: str, facts: Any, kind: type) -> None:
    if not isinstance(facts, Mapping):
        raise SimulationRefused(at or "scenario", "not an object")
    names = [one.name for one in dataclasses.fields(kind)]
    known(at, facts, names)
    for name in names:
        if name not in facts:
            raise SimulationRefused(f"{at}{name}", "is missing")


def _routes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise SimulationRefused("routes", "not a list such as ['en-es']")
    try:
        Routes.parse(map(str, value))
    except WishRefused as error:
        raise SimulationRefused("routes", str(error)) from None
    return tuple(map(str, value))


def _sensible(scenario: Scenario) -> Scenario:
    if scenario.warm_up_s >= scenario.duration_s:
        raise SimulationRefused("warm_up_s", "nothing is left of duration_s")
    if scenario.arrivals_per_s * scenario.duration_s > MOST_TICKETS:
        raise SimulationRefused("arrivals_per_s", f"makes more than {MOST_TICKETS} arrivals")
    for tag in scenario.languages:
        if not (2 <= len(tag) <= 3 and tag.isascii() and tag.islower() and tag.isalpha()):
            raise SimulationRefused(f"languages.{tag}", "is no primary tag such as es")
    return scenario
