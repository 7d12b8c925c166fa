"""Trains the mutual-interest model and measures it on evenings that it never saw.

The main variants are measured again at each training and stand in the figures, losers too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from inyeon_models import mutual_interest_figures as figures
from inyeon_models.mutual_interest import ANSWERS, SIMILARITY, Exact, MutualModel, similarity
from inyeon_models.mutual_interest_data import PREFERENCES, SENSITIVE, Survey
from inyeon_models.mutual_interest_fit import LUCK, NONE, STRENGTH, Fitted, Ints, fit

STRENGTHS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.45)
LUCKS = (NONE, 0.5, 1.0, 2.0)
SHUFFLES = 200
PUBLISHED = {
    "log_loss": 0.5645,
    "brier": 0.1667,
    "constant_log_loss": 0.484,
    "constant_brier": 0.153,
}
"""Of the published model (ReciprocalMatchLab), and of the constant there: means over nine waves."""
SHARED_WAVES = (1, 2, 3, 4, 10, 11)
"""Of its waves 1-4, 10, 11 and 15-17 those that our file has."""

Told = Callable[[str], None]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a model is made from; the defaults are what ships."""

    strength: float = STRENGTH
    luck: float = LUCK
    extra: tuple[str, ...] = ()
    differences: bool = False
    """Also how far apart both answers lie."""
    interests_only: bool = False
    centred: bool = False
    """Answers minus their evening's mean."""


@dataclass(frozen=True, slots=True)
class Trained:
    """The model and its figures ready for JSON."""

    model: MutualModel
    figures: dict[str, Any]


SHIPPED_RECIPE = Recipe()
TRIED = {
    "shipped": SHIPPED_RECIPE,
    "without luck of people": Recipe(luck=NONE),
    "with differences too": Recipe(differences=True),
    "similarity of interests alone": Recipe(interests_only=True),
    "answers minus their wave's mean": Recipe(centred=True),
    "with preferences (two scales)": Recipe(extra=PREFERENCES),
    "with age, importance of race and religion": Recipe(extra=SENSITIVE),
    "with both, differences, no luck, 0.157 (C = 3e-4)": Recipe(
        0.157, NONE, (*PREFERENCES, *SENSITIVE), differences=True
    ),
}
"""The main variants that were tried; the card names the rest. Those with SENSITIVE answers
may never ship."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Means and scales (f,) of answers, and of the pairs' own features, of training waves only."""

    means: Exact
    scales: Exact
    pair_means: Exact
    pair_scales: Exact


def train(survey: Survey, shuffles: int = SHUFFLES, told: Told = lambda _: None) -> Trained:
    """The model that ships, learned from every wave, and how it does on waves left out."""
    model = learn(survey)
    return Trained(model, {"version": model.version, **measure(survey, shuffles, told)})


def learn(survey: Survey) -> MutualModel:
    """The model of every pair of the survey. Raises ConversionError where nothing can be fitted."""
    fitted, scaling = _fitted(survey, SHIPPED_RECIPE, np.ones(len(survey), dtype=bool))
    return MutualModel(
        (*ANSWERS, SIMILARITY),
        tuple(np.append(scaling.means, scaling.pair_means).tolist()),
        tuple(np.append(scaling.scales, scaling.pair_scales).tolist()),
        tuple(fitted.weights.tolist()),
        fitted.intercept,
        survey.sha256,
    )


def measure(survey: Survey, shuffles: int, told: Told = lambda _: None) -> dict[str, Any]:
    """All figures; `shuffles` 0 leaves the permutation test out."""
    said, constant = left_out(survey, SHIPPED_RECIPE), base_rates(survey)
    told("waves left out, strengths and variants")
    strengths = [
        {"strength": s, "luck": luck, **_against(survey, Recipe(s, luck), constant)}
        for luck in LUCKS
        for s in STRENGTHS
    ]
    found: dict[str, Any] = {
        "data_sha256": survey.sha256,
        "pairs": len(survey),
        "people": len(survey.person_wave),
        "both_like": _round(survey.both.mean()),
        "ours": _scores(survey.both, said),
        "constant": _scores(survey.both, constant),
        "gain": _against(survey, SHIPPED_RECIPE, constant),
        "calibration_slope": _round(figures.slope(survey.both, said)),
        "reliability": figures.reliability(survey.both, said),
        "by_wave": _by_wave(survey, said, constant),
        "beside_the_published": _shared(survey, said, constant),
        "strengths": strengths,
        "tried": {k: _against(survey, recipe, constant) for k, recipe in TRIED.items()},
    }
    if shuffles:
        found["permutation"] = permutation(survey, shuffles, told)
    return found


def left_out(survey: Survey, recipe: Recipe) -> Exact:
    """(n,) chances, each from a model that never saw the pair's wave."""
    said = np.zeros(len(survey))
    for wave in np.unique(survey.wave):
        train_on = survey.wave != wave
        fitted, scaling = _fitted(survey, recipe, train_on)
        said[~train_on] = fitted.probability(_rows(survey, recipe, scaling)[~train_on])
    return said


def base_rates(survey: Survey) -> Exact:
    """(n,) the constant: the rate of the other waves."""
    rates = np.zeros(len(survey))
    for wave in np.unique(survey.wave):
        rates[survey.wave == wave] = survey.both[survey.wave != wave].mean()
    return rates


def permutation(survey: Survey, times: int, told: Told = lambda _: None) -> dict[str, float]:
    """How often a survey whose people swapped questionnaires within their group and wave gains as
    much. It needs no interval over few waves, but the recipe was chosen on the same survey."""
    draw, constant = np.random.default_rng(1), base_rates(survey)
    seconds = np.zeros(len(survey.person_wave), dtype=bool)
    seconds[survey.other] = True

    def mean_gain(of: Survey) -> float:
        losses = figures.log_losses(of.both, left_out(of, SHIPPED_RECIPE))
        return float((losses - figures.log_losses(of.both, constant)).mean())

    real, as_good = mean_gain(survey), 0
    for turn in range(times):
        if turn % 50 == 0:
            told(f"questionnaires swapped, {turn} of {times}")
        as_good += mean_gain(swapped(survey, seconds, draw)) <= real
    return {"times": times, "as_good": as_good, "p": _round((as_good + 1) / (times + 1))}


def swapped(survey: Survey, seconds: Bools, draw: np.random.Generator) -> Survey:
    """People of the same wave and group swap answers at random."""
    order = np.arange(len(seconds))
    for wave in np.unique(survey.person_wave):
        for group in (True, False):
            places = np.flatnonzero((survey.person_wave == wave) & (seconds == group))
            order[places] = draw.permutation(places)
    return replace(survey, answers=survey.answers[order])


def _fitted(survey: Survey, recipe: Recipe, train_on: Bools) -> tuple[Fitted, Scaling]:
    scaling = _scaling(survey, recipe, train_on)
    rows = _rows(survey, recipe, scaling)[train_on]
    one, other = survey.one[train_on], survey.other[train_on]
    return fit(rows, survey.both[train_on], one, other, recipe.strength, recipe.luck), scaling


def _scaling(survey: Survey, recipe: Recipe, train_on: Bools) -> Scaling:
    table = _table(survey, recipe)
    people = np.unique(np.concatenate([survey.one[train_on], survey.other[train_on]]))
    means, scales = _moments(table[people])
    pairs = _own_of_pairs(survey, recipe, (table - means) / scales)
    return Scaling(means, scales, *_moments(pairs[train_on]))


def _rows(survey: Survey, recipe: Recipe, scaling: Scaling) -> Exact:
    """(n, f): sums of both people's answers, then what belongs to the pair."""
    table = (_table(survey, recipe) - scaling.means) / scaling.scales
    pairs = (_own_of_pairs(survey, recipe, table) - scaling.pair_means) / scaling.pair_scales
    known = np.nan_to_num(table)
    sums = (known[survey.one] + known[survey.other]) / np.sqrt(2.0)
    return (
        np.nan_to_num(pairs) if recipe.interests_only else np.hstack([sums, np.nan_to_num(pairs)])
    )


def _table(survey: Survey, recipe: Recipe) -> Exact:
    table = np.column_stack([survey.answers, *(survey.extra[name] for name in recipe.extra)])
    if recipe.centred:
        for wave in np.unique(survey.person_wave):
            table[survey.person_wave == wave] -= _means(table[survey.person_wave == wave])
    return table


def _own_of_pairs(survey: Survey, recipe: Recipe, standard: Exact) -> Exact:
    near = similarity(survey.answers[survey.one], survey.answers[survey.other])[:, None]
    if not recipe.differences:
        return near
    return np.hstack([np.abs(standard[survey.one] - standard[survey.other]), near])


def _moments(table: Exact) -> tuple[Exact, Exact]:
    means = _means(table)
    scales = np.sqrt(_means((table - means) ** 2))
    return means, np.where(scales > 0, scales, 1.0)


def _means(table: Exact) -> Exact:
    """Of what is there, by column; 0 where nothing is."""
    there = np.maximum((~np.isnan(table)).sum(axis=0), 1)
    return np.asarray(np.nansum(table, axis=0) / there)


def _against(survey: Survey, recipe: Recipe, constant: Exact) -> dict[str, Any]:
    said = left_out(survey, recipe)
    return {
        name: _rounded(
            figures.gain(loss(survey.both, said) - loss(survey.both, constant), survey.wave)
        )
        for name, loss in (("log_loss", figures.log_losses), ("brier", figures.briers))
    }


def _rounded(gain: figures.Gain) -> dict[str, Any]:
    ends = {name: _round(value) for name, value in asdict(gain).items() if name != "waves_better"}
    return {**ends, "waves_better": gain.waves_better, "wins": gain.wins}


def _scores(both: Exact, said: Exact) -> dict[str, float]:
    losses, squares = figures.log_losses(both, said), figures.briers(both, said)
    return {"log_loss": _round(losses.mean()), "brier": _round(squares.mean())}


def _by_wave(survey: Survey, said: Exact, constant: Exact) -> dict[str, dict[str, float]]:
    found = {}
    for wave in np.unique(survey.wave).tolist():
        there: Ints = np.flatnonzero(survey.wave == wave)
        both = survey.both[there]
        ours, theirs = _scores(both, said[there]), _scores(both, constant[there])
        rest = {"constant_log_loss": theirs["log_loss"], "constant_brier": theirs["brier"]}
        found[str(wave)] = {"pairs": len(there), "rate": _round(both.mean()), **ours, **rest}
    return found


def _shared(survey: Survey, said: Exact, constant: Exact) -> dict[str, Any]:
    by_wave = _by_wave(survey, said, constant)
    there = [by_wave[str(wave)] for wave in SHARED_WAVES if str(wave) in by_wave]
    names = PUBLISHED if there else ()
    means = {name: _round(np.mean([wave[name] for wave in there])) for name in names}
    return {"published": PUBLISHED, "ours_on_shared_waves": means, "waves": list(SHARED_WAVES)}


def _round(value: Any) -> float:
    return round(float(value), 6)
