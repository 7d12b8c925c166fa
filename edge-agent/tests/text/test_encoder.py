"""Interests as vectors, with the built encoder."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from inyeon_edge.errors import InputRefused, ModelCorrupt, ModelError, ModelMissing
from inyeon_edge.text.encoder import FILES, Float, encode_interests, quantise
from inyeon_edge.text.naming import model_name

pytestmark = [pytest.mark.integration, pytest.mark.engine("onnxruntime")]


@pytest.fixture(scope="module")
def models() -> Path:
    default = Path(__file__).parents[3] / "build" / "models"
    folder = Path(os.environ.get("INYEON_MODELS_DIR", default))
    if not (folder / "index.json").exists():
        if os.environ.get("CI"):
            pytest.fail(f"no models in {folder}")
        pytest.skip(f"no models in {folder}: run inyeon-models build")
    return folder


def test_the_same_interests_in_two_languages_are_near(models: Path) -> None:
    english = encode_interests("hiking in the mountains, cooking and old movies", models)
    spanish = encode_interests("senderismo por la montaña, cocinar y cine clásico", models)
    other = encode_interests("tax law and spreadsheets", models)
    near = float(english.values() @ spanish.values())
    assert near > 0.6
    assert near > float(english.values() @ other.values()) + 0.2
    assert (english.model, english.version) == (spanish.model, spanish.version)
    assert np.linalg.norm(english.values()) == pytest.approx(1, abs=0.02)


def test_long_texts_are_cut(models: Path) -> None:
    vector = encode_interests("hiking " * 1000, models)
    assert np.isfinite(vector.values()).all()


@pytest.mark.parametrize("text", ["", "  ", "x" * 8193])
def test_an_empty_or_overlong_text_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputRefused) as refused:
        encode_interests(text, tmp_path)
    assert refused.value.field == "interests"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["absent", "truncated"])
def test_a_damaged_file_is_named(name: str, damage: str, models: Path, tmp_path: Path) -> None:
    for each in (*FILES, "index.json"):
        (tmp_path / each).symlink_to(models / each)
    (tmp_path / name).unlink()
    if damage == "truncated":
        shutil.copyfile(models / name, tmp_path / name)
        with (tmp_path / name).open("r+b") as file:
            file.truncate(100)
    with pytest.raises(ModelError) as refused:
        encode_interests("hiking", tmp_path)
    assert Path(name).stem.split("_scale")[0] in refused.value.field


def test_names_come_from_the_index(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        model_name(tmp_path, "a.onnx")
    index = tmp_path / "index.json"
    index.write_text("{")
    with pytest.raises(ModelCorrupt):
        model_name(tmp_path, "a.onnx")
    entry = {"name": "a", "version": "7", "file": "a.onnx", "sha256": "0" * 64}
    index.write_text(json.dumps({"files": [entry], "b.npz": {"sha256": "1" * 64}}))
    assert (model_name(tmp_path, "a.onnx").name, model_name(tmp_path, "a.onnx").version) == (
        "a",
        "7",
    )
    assert model_name(tmp_path, "b.npz").version == "1" * 12
    with pytest.raises(ModelMissing):
        model_name(tmp_path, "c.onnx")


@settings(deadline=None)
@given(arrays.arrays(np.float32, 16, elements=st.floats(-100, 100, width=32)))
@example(np.full(16, 1e-45, np.float32))
def test_quantised_values_are_within_half_a_step(values: Float) -> None:
    scale, steps = quantise(values)
    assert np.abs(steps * scale - values).max() <= scale / 2 + 1e-5
