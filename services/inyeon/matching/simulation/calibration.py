"""Aggregates of public data that the crowd is drawn from: a small file, no person in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from inyeon.matching.simulation.refusals import SimulationRefused, number, shares

FORMAT = 1
HOURS = 24


@dataclass(frozen=True, slots=True)
class Calibration:
    """What `calibrate` found. Times in seconds."""

    hour_share: tuple[float, ...]
    """(24,) share of a day's session starts by local hour, sum 1."""
    burst_shape: float
    """Shape k of the gamma that multiplies the rate of each bin: variance 1 / k."""
    bin_s: float
    partners_mean: float
    """Different partners in one session of a person, at least 1."""
    answered: float
    """Share of openings that the other side answers."""
    talk_log_mean: float
    talk_log_sd: float
    """Of the natural logarithm of an answered conversation's length."""
    mutual: float
    """Share of meetings that both sides want to repeat."""
    female: float
    orientation: Mapping[str, Mapping[str, float]]
    """By `female` and `male`: shares of straight, gay, bisexual."""
    decades: Mapping[str, float]
    """Share of adults by decade of age."""
    more_languages: tuple[float, ...]
    """Share of people with 0, 1, 2, ... languages beside the first."""
    second_languages: Mapping[str, float]
    """Which these are, by tag."""
    levels: Mapping[str, float]
    """At which level (1 to 5) they are spoken."""


@cache
def shipped() -> Calibration:
    """The aggregates that come with the package."""
    return read(json.loads(files(__package__).joinpath("calibration.json").read_text("utf-8")))


def read(facts: Any) -> Calibration:
    """Raises SimulationRefused naming the field."""
    if not isinstance(facts, Mapping) or facts.get("format") != FORMAT:
        raise SimulationRefused("format", f"not a calibration of format {FORMAT}")
    try:
        return _read(facts)
    except KeyError as missing:
        raise SimulationRefused(str(missing.args[0]), "is missing") from None


def _read(facts: Mapping[str, Any]) -> Calibration:
    arrivals, talks, people = facts["arrivals"], facts["conversations"], facts["people"]
    return Calibration(
        _row("arrivals.hour_share", arrivals["hour_share"], HOURS),
        number("arrivals.burst_shape", arrivals["burst_shape"], 1e-3, 1e6),
        number("arrivals.bin_s", arrivals["bin_s"], 1, 3600),
        number("sessions.partners_mean", facts["sessions"]["partners_mean"], 1, 1e3),
        number("reciprocity.share", facts["reciprocity"]["share"], 0.01, 0.99),
        number("conversations.log_mean", talks["log_mean"], -10, 20),
        number("conversations.log_sd", talks["log_sd"], 0, 10),
        number("mutual.share", facts["mutual"]["share"], 0.001, 0.99),
        number("people.female", people["female"], 0, 1),
        {
            sex: shares(f"people.orientation.{sex}", people["orientation"][sex])
            for sex in ("female", "male")
        },
        shares("people.decades", people["decades"]),
        _row("people.more_languages", people["more_languages"]),
        shares("people.second_languages", people["second_languages"]),
        shares("people.levels", people["levels"]),
    )


def _row(field: str, value: Any, count: int | None = None) -> tuple[float, ...]:
    if not isinstance(value, list) or (count is not None and len(value) != count):
        raise SimulationRefused(field, f"not a list of {count or 'some'} numbers")
    return tuple(shares(field, {str(place): part for place, part in enumerate(value)}).values())
