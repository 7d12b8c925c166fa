"""The text-safety head: cleaning, its file, and the one that is committed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon_models import paths
from inyeon_models.errors import SourceError
from inyeon_models.manifest import load
from inyeon_models.text_safety import (
    CANARIES,
    CLASSES,
    TextHead,
    clean,
    load_head,
    softmax,
    to_npz,
)

pytestmark = pytest.mark.unit

COMMITTED = paths.TRAINED / "text_safety_head.npz"


def made(seed: int = 1) -> TextHead:
    draw = np.random.default_rng(seed)
    weights = draw.normal(size=(3, 512)).astype(np.float32)
    return TextHead(weights, np.zeros(3, np.float32), "encoder@1", {"b": 0.5, "a": 0.25})


def scores() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.full((len(CANARIES), len(CLASSES)), 1 / 3)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("You IDIOT", "you idiot"),
        (" @rose:  see https://example.org/?q=1 now\n", "see now"),
        ("\uff28\uff29 www.example.org", "hi"),
        ("@only", ""),
    ],
)
def test_texts_are_cleaned(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(st.text(max_size=60))
def test_cleaning_twice_changes_nothing_but_marks_that_it_made(text: str) -> None:
    once = clean(text)
    assert once == " ".join(once.split())
    assert clean(once.replace("@", "").replace("http", "").replace("www", "")) == clean(
        clean(once.replace("@", "").replace("http", "").replace("www", ""))
    )


def test_a_file_gives_its_head_back(tmp_path: Path) -> None:
    path = tmp_path / "head.npz"
    path.write_bytes(to_npz(made(), scores()))
    head, promised = load_head(path)
    assert head.version == made().version and head.points == {"a": 0.25, "b": 0.5}
    assert head.encoder == "encoder@1" and promised.shape == (len(CANARIES), 3)
    np.testing.assert_array_equal(head.weights, made().weights)
    assert to_npz(made(), scores()) == path.read_bytes()


def test_probabilities_are_those_of_plain_numpy() -> None:
    rows = np.random.default_rng(2).normal(size=(4, 512)).astype(np.float32)
    powers = np.exp(rows.astype(float) @ made().weights.T.astype(float))
    found = made().probabilities(rows)
    np.testing.assert_allclose(found, powers / powers.sum(axis=1, keepdims=True), atol=1e-9)
    assert np.isfinite(softmax(np.array([[1e4, -1e4, 0.0]]))).all()


def test_other_numbers_have_another_version() -> None:
    assert made(1).version != made(2).version


@pytest.mark.parametrize("change", ["truncated", "absent", "version", "shape", "nan", "canaries"])
def test_a_broken_file_is_refused_by_name(tmp_path: Path, change: str) -> None:
    path = tmp_path / "head.npz"
    data = to_npz(made(), scores())
    path.write_bytes(data[:500] if change == "truncated" else data)
    if change == "absent":
        path.unlink()
    elif change != "truncated":
        with np.load(path) as archive:
            arrays = {key: archive[key] for key in archive.files}
        if change == "version":
            arrays["weights"] = arrays["weights"] + np.float32(1)
        elif change == "shape":
            arrays["bias"] = arrays["bias"][:2]
        elif change == "nan":
            arrays["weights"] = arrays["weights"] * np.float32("nan")
        else:
            arrays["canary_scores"] = arrays["canary_scores"][:1]
        np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(SourceError, match=r"head\.npz"):
        load_head(path)


def test_the_committed_head_is_that_of_the_manifest_and_of_its_figures() -> None:
    head, promised = load_head(COMMITTED)
    product = load(paths.MANIFEST).product_named("text-safety-head")
    figures = json.loads(COMMITTED.with_suffix(".json").read_text("utf-8"))
    assert head.version == product.version == figures["version"]
    assert product.labels == CLASSES and dict(head.points) == figures["points"]
    assert COMMITTED.stat().st_size < 1_000_000
    np.testing.assert_allclose(promised.sum(axis=1), 1.0, atol=1e-5)


def test_the_card_tells_the_figures_that_were_measured() -> None:
    card = (paths.CARDS / "text-safety-head.md").read_text("utf-8")
    figures = json.loads(COMMITTED.with_suffix(".json").read_text("utf-8"))
    assert figures["version"] in card
    for name in ("tweets", "hatecheck", "korean"):
        assert f"{figures[name]['macro_f1']:.3f}" in card
    for name, row in figures["hatecheck"]["by_functionality"].items():
        assert f"| {name} | {row['cases']} | {row['share']:.3f} |" in card
