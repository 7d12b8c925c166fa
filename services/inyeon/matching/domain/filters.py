"""Filters of a person's own wish, and the plan by which they alone may widen it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from inyeon.matching.domain.refusals import WishRefused

MAX_STEPS = 3
MAX_AFTER_S = 3600


class Filter(IntEnum):
    """What shuts people out, with the numbers of the contract's Filter."""

    GENDERS = 1
    """The wanted genders."""
    COUNTRIES = 2
    """The wanted countries."""
    COMMON_LANGUAGE = 3
    """Nobody but speakers of one's own languages: translation is not welcome."""
    SIMILARITY = 4
    """The closeness of interests that a person wants at first. It relaxes with the wait by itself,
    so no plan names it."""


PLANNABLE = (Filter.GENDERS, Filter.COUNTRIES, Filter.COMMON_LANGUAGE)


@dataclass(frozen=True, slots=True)
class WideningStep:
    """After waiting so long, pauses not counted, the person drops a filter."""

    after_s: float
    """1 to 3,600 seconds."""
    drops: Filter


def check_plan(plan: tuple[WideningStep, ...]) -> None:
    """Raises WishRefused on `wish.widening` with WIDENING_COUNT, WIDENING_FILTER, WIDENING_REPEATED
    or WIDENING_TIME."""
    if len(plan) > MAX_STEPS:
        raise WishRefused("wish.widening", "WIDENING_COUNT", f"{len(plan)} steps, more than 3")
    for number, step in enumerate(plan):
        _check_step(step, f"wish.widening[{number}]")
    if len({step.drops for step in plan}) < len(plan):
        raise WishRefused("wish.widening", "WIDENING_REPEATED", "a filter is dropped twice")


def _check_step(step: WideningStep, field: str) -> None:
    if step.drops not in PLANNABLE:
        message = f"{step.drops.name} is no filter that a plan may drop"
        raise WishRefused(f"{field}.drops", "WIDENING_FILTER", message)
    if not 1 <= step.after_s <= MAX_AFTER_S:  # also NaN
        message = f"{step.after_s} s is not 1 to 3,600"
        raise WishRefused(f"{field}.after_s", "WIDENING_TIME", message)
