"""What the simulator says when a file or an argument cannot be taken."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping


class SimulationRefused(ValueError):
    """A scenario, a policy or a calibration is not as it must be. `field` names the place."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def number(field: str, value: object, least: float, most: float) -> float:
    """`value` as a finite number in [least, most]; raises SimulationRefused."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SimulationRefused(field, f"{value!r} is no number")
    if not least <= value <= most:
        raise SimulationRefused(field, f"{value} is not {least:g} to {most:g}")
    return float(value)


def text(field: str, value: object) -> str:
    """`value` as words; raises SimulationRefused."""
    if not isinstance(value, str) or not value:
        raise SimulationRefused(field, f"{value!r} is no text")
    return value


def shares(field: str, value: object) -> dict[str, float]:
    """Names with their shares, scaled to a sum of 1; raises SimulationRefused."""
    if not isinstance(value, Mapping) or not value:
        raise SimulationRefused(field, "no shares")
    read = {str(name): number(f"{field}.{name}", part, 0.0, 1e12) for name, part in value.items()}
    total = sum(read.values())
    if total <= 0:
        raise SimulationRefused(field, "the shares sum up to nothing")
    return {name: part / total for name, part in read.items()}


def known(field: str, names: Iterable[str], allowed: Iterable[str]) -> None:
    """Raises SimulationRefused for a name that is none of `allowed`."""
    choices = sorted(allowed)
    for name in names:
        if name not in choices:
            raise SimulationRefused(f"{field}{name}", f"unknown; known: {', '.join(choices)}")
