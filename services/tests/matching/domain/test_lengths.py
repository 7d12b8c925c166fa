"""Predicted lengths: what is there is learned, predictions are honest, and bad input is named."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.matching.domain.lengths import (
    CAP_S,
    FEATURES,
    LEAST_TALKS,
    Exact,
    LengthModel,
    LengthsRefused,
    calibration,
    fit,
    shares,
)
from inyeon.matching.domain.matches import EndReason
from inyeon.matching.domain.score_models import SENSITIVE

pytestmark = pytest.mark.unit

WIDTH = len(FEATURES)


def talks(seed: int, count: int = 3_000, pull: float = 0.8) -> tuple[Exact, Exact]:
    """Simulated conversations whose length depends on the first and fifth feature, very noisily."""
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(count, WIDTH))
    logits = pull * rows[:, 0] - pull * rows[:, 4] / 2 - 1.0 + draw.normal(0.0, 1.5, count)
    return rows, 1 / (1 + np.exp(-logits))


def test_what_is_there_is_learned_and_calibrated_on_unseen_talks() -> None:
    model = fit(*talks(1))
    rows, share = talks(2)
    said = model.share(rows)
    constant = np.full(len(share), talks(1)[1].mean())
    assert ((said - share) ** 2).mean() < 0.85 * ((constant - share) ** 2).mean()
    slope, gap = calibration(said, share)
    assert slope == pytest.approx(1.0, abs=0.1) and gap == pytest.approx(0.0, abs=0.01)
    assert model.weights[0] > 5 * max(map(abs, (model.weights[1], model.weights[2])))


def test_where_nothing_is_there_the_base_rate_is_said() -> None:
    rows, share = talks(3, pull=0.0)
    said = fit(rows, share).share(rows)
    assert said.mean() == pytest.approx(share.mean(), abs=1e-6) and said.std() < 0.02


def test_the_fit_is_where_the_likelihood_is_flat() -> None:
    rows, share = talks(4, LEAST_TALKS)
    model = fit(rows, share)
    standard = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    slope = standard.T @ (share - model.share(rows)) - WIDTH * np.asarray(model.weights)
    assert np.abs(slope).max() < 1e-6


def test_a_feature_that_never_changes_teaches_nothing() -> None:
    rows, share = talks(5)
    rows[:, 2] = 1.0
    assert fit(rows, share).weights[2] == pytest.approx(0.0, abs=1e-9)


def test_ends_that_are_nobodys_choice_do_not_count() -> None:
    lengths = np.array([150.0, 900.0, 100.0, 100.0, 100.0, 200.0, -1.0, math.nan])
    ended = np.array(
        [1, 1, EndReason.POLICY, EndReason.CONNECT_FAILED, 4, EndReason.REPORTED, 1, 1]
    )
    share, counted = shares(lengths, ended)
    assert counted.tolist() == [True, True, False, False, False, True, False, False]
    assert share[counted].tolist() == [150.0 / CAP_S, 1.0, 0.0]


@given(st.lists(st.floats(), min_size=WIDTH, max_size=WIDTH))
def test_no_broken_feature_leaves_the_bounds(features: list[float]) -> None:
    model = LengthModel((0.0,) * WIDTH, (1.0,) * WIDTH, (1.0,) * WIDTH, -0.5)
    assert 0.0 <= model.share(np.array([features]))[0] <= 1.0


def test_what_is_unknown_counts_as_usual() -> None:
    model = fit(*talks(6))
    unknown = model.share(np.full((1, WIDTH), math.nan))
    assert unknown == pytest.approx(model.share(np.array([model.means])))


def test_a_model_survives_json() -> None:
    model = fit(*talks(7))
    again = LengthModel.of(json.loads(json.dumps(asdict(model))))
    assert again == model and again.version == model.version
    assert fit(*talks(8)).version != model.version


GOOD = asdict(LengthModel((0.0,) * WIDTH, (1.0,) * WIDTH, (1.0,) * WIDTH, 0.0))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("means", [0.0]),
        ("means", "0"),
        ("scales", [0.0] * WIDTH),
        ("weights", [math.nan] * WIDTH),
        ("weights", ["1"] * WIDTH),
        ("intercept", None),
        ("intercept", True),
    ],
)
def test_a_wrong_description_is_named(field: str, value: object) -> None:
    with pytest.raises(LengthsRefused, match=field) as found:
        LengthModel.of({**GOOD, field: value})
    assert found.value.reason == "NUMBERS"


def test_an_intercept_must_be_finite() -> None:
    with pytest.raises(LengthsRefused, match="intercept"):
        LengthModel((0.0,) * WIDTH, (1.0,) * WIDTH, (1.0,) * WIDTH, math.inf)


@pytest.mark.parametrize(
    ("rows", "share", "reason"),
    [
        (np.zeros((300, 2)), np.zeros(300), "ROWS"),
        (np.full((300, WIDTH), math.nan), np.zeros(300), "ROWS"),
        (np.zeros((300, WIDTH)), np.zeros(299), "SHARES"),
        (np.zeros((300, WIDTH)), np.full(300, 1.1), "SHARES"),
        (np.zeros((300, WIDTH)), np.full(300, math.nan), "SHARES"),
        (np.zeros((300, WIDTH)), np.zeros(300), "SHARES"),
        (np.zeros((10, WIDTH)), np.full(10, 0.5), "TOO_FEW"),
    ],
)
def test_outcomes_that_cannot_teach_are_refused(rows: Exact, share: Exact, reason: str) -> None:
    with pytest.raises(LengthsRefused) as found:
        fit(rows, share)
    assert found.value.reason == reason


def test_a_constant_has_no_slope() -> None:
    assert calibration(np.full(3, 0.5), np.array([0.0, 0.5, 1.0])) == (0.0, 0.0)


def test_no_sensitive_attribute_is_a_feature() -> None:
    for name in FEATURES:
        assert not set(name.split("_")) & SENSITIVE
