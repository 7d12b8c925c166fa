"""The mutual-interest model as a file: symmetric, bounded, and strict about what it reads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon_models import paths
from inyeon_models.errors import SourceError
from inyeon_models.mutual_interest import (
    ANSWERS,
    INTERESTS,
    Exact,
    load_model,
    sigmoid,
    similarity,
    to_json,
)
from inyeon_models.train_cli import SHIPPED_MUTUAL

pytestmark = pytest.mark.unit

ANSWER = st.one_of(st.floats(-1e9, 1e9), st.just(float("nan")))
PERSON = st.lists(ANSWER, min_size=len(ANSWERS), max_size=len(ANSWERS))


def rows(*people: list[float]) -> Exact:
    return np.asarray(people, dtype=np.float64)


@given(PERSON, PERSON)
def test_who_is_asked_first_never_matters(one: list[float], other: list[float]) -> None:
    model = load_model(SHIPPED_MUTUAL)
    chance = model.probability(rows(one), rows(other))
    assert 0.0 < chance[0] < 1.0
    assert chance == pytest.approx(model.probability(rows(other), rows(one)))


def test_nobody_answered_anything_is_the_base_rate() -> None:
    model = load_model(SHIPPED_MUTUAL)
    silent = rows([float("nan")] * len(ANSWERS))
    assert model.probability(silent, silent)[0] == pytest.approx(sigmoid(np.array(model.intercept)))


def test_answers_above_their_scale_count_as_its_top() -> None:
    model = load_model(SHIPPED_MUTUAL)
    top, above = rows([5.0] * 7 + [10.0] + [5.0] * 17), rows([5.0] * 7 + [14.0] + [5.0] * 17)
    assert model.probability(above, top) == pytest.approx(model.probability(top, top))


def test_similarity_is_pearsons_and_unknown_for_a_flat_answer() -> None:
    draw = np.random.default_rng(2)
    one, other = draw.integers(1, 11, (2, 40, len(ANSWERS))).astype(float)
    count = len(INTERESTS)
    by_hand = [np.corrcoef(a[:count], b[:count])[0, 1] for a, b in zip(one, other, strict=True)]
    np.testing.assert_allclose(similarity(one, other), by_hand)
    assert np.isnan(similarity(np.full((1, len(ANSWERS)), 5.0), other[:1])).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros((1, 3)), np.zeros((1, 3))),
        (np.zeros((2, len(ANSWERS))), np.zeros((1, len(ANSWERS)))),
        (np.zeros(len(ANSWERS)), np.zeros(len(ANSWERS))),
        (np.full((1, len(ANSWERS)), np.inf), np.zeros((1, len(ANSWERS)))),
    ],
)
def test_other_shapes_and_infinite_answers_are_refused(one: Exact, other: Exact) -> None:
    with pytest.raises(SourceError, match="answers"):
        load_model(SHIPPED_MUTUAL).probability(one, other)


def test_a_file_says_what_was_written(tmp_path: Path) -> None:
    model = replace(load_model(SHIPPED_MUTUAL), intercept=-1.25)
    (tmp_path / "m.json").write_bytes(to_json(model))
    assert load_model(tmp_path / "m.json") == model
    assert model.version != load_model(SHIPPED_MUTUAL).version


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="absent"):
        load_model(tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(SourceError, match="broken"):
        load_model(tmp_path / "broken.json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", 2),
        ("features", ["gender"]),
        ("means", [1.0]),
        ("scales", [0.0] * (len(ANSWERS) + 1)),
        ("weights", ["1"] * (len(ANSWERS) + 1)),
        ("weights", [float("nan")] * (len(ANSWERS) + 1)),
        ("intercept", True),
        ("intercept", None),
        ("data_sha256", 5),
        ("version", "1-0"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, field: str, value: Any) -> None:
    document = {**json.loads(SHIPPED_MUTUAL.read_text("utf-8")), field: value}
    (tmp_path / "m.json").write_text(json.dumps(document))
    with pytest.raises(SourceError, match=field):
        load_model(tmp_path / "m.json")


def test_no_sensitive_answer_is_a_feature() -> None:
    never = {"age", "gender", "race", "samerace", "imprace", "imprelig", "from", "income", "field"}
    after = ("dec", "like", "prob", "met", "match_es", "_o", "_s", "_2", "_3")
    features = load_model(SHIPPED_MUTUAL).features
    assert not never & set(features)
    assert not [f for f in features if f in after or f.endswith(after[5:])]


def test_the_card_tells_the_figures_of_the_file() -> None:
    text = (paths.CARDS / "mutual-interest.md").read_text("utf-8")
    found = json.loads((paths.TRAINED / "mutual_interest_figures.json").read_text("utf-8"))
    assert found["version"] == load_model(SHIPPED_MUTUAL).version
    assert f"`{found['version']}`" in text and found["data_sha256"][:12] in text
    for kind in ("log_loss", "brier"):
        gain = found["gain"][kind]
        assert f"{found['ours'][kind]:.4f}" in text and f"{found['constant'][kind]:.4f}" in text
        assert f"{gain['mean']:.5f} [{gain['low']:.5f}, {gain['high']:.5f}]" in text
    for name, gains in found["tried"].items():
        gain = gains["log_loss"]
        assert f"| {name} | {gain['mean']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}]" in text
