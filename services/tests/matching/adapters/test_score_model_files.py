"""The registry as a file: what is written is read, and whatever is wrong is named by its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inyeon.matching.adapters.score_models import MOST_BYTES, read_registry, write_registry
from inyeon.matching.domain.score_models import LINEAR_1, Registry, ScoreModel, ScoreModelRefused

pytestmark = pytest.mark.unit

REGISTRY = (
    Registry()
    .added(ScoreModel("b", 0.5, {"interests": 0.8, "session": 0.3}, "since spring"))
    .activated("b")
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scores.json"


def changed(path: Path, change: dict[str, Any], model: dict[str, Any] | None = None) -> Path:
    write_registry(path, REGISTRY)
    document = json.loads(path.read_text()) | change
    if model is not None:
        document["models"][1] |= model
    path.write_text(json.dumps(document))
    return path


def test_what_is_written_is_read(path: Path) -> None:
    write_registry(path, REGISTRY)
    read = read_registry(path)
    assert read == REGISTRY and read.active.version == "b" and read.active.note == "since spring"
    write_registry(path, read.rolled_back())
    assert read_registry(path).active == LINEAR_1
    assert [left.name for left in path.parent.iterdir()] == ["scores.json"]


def test_a_file_by_hand_needs_no_digest_and_no_note(path: Path) -> None:
    by_hand = {"version": "c", "meeting": 1, "weights": {"waiting": 1}}
    path.write_text(json.dumps({"format": 1, "activations": ["c"], "models": [by_hand]}))
    assert read_registry(path).active == ScoreModel("c", 1, {"waiting": 1})


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"format": 2}, "format", "SHAPE"),
        ({"models": {}}, "models", "SHAPE"),
        ({"models": [5]}, "models[0]", "SHAPE"),
        ({"models": [{}]}, "models[0].meeting", "SHAPE"),
        ({"activations": "b"}, "activations", "SHAPE"),
        ({"activations": [5]}, "activations", "SHAPE"),
        ({"activations": []}, "activations", "NOTHING_ACTIVE"),
        ({"activations": ["z"]}, "version", "UNKNOWN_VERSION"),
        ({"more": 1}, "more", "SHAPE"),
    ],
)
def test_a_wrong_part_is_named(path: Path, change: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(ScoreModelRefused) as found:
        read_registry(changed(path, change))
    assert (found.value.field, found.value.reason) == (field, reason)


@pytest.mark.parametrize(
    ("model", "field", "reason"),
    [
        ({"weights": {"gender": 1.0}}, "models[1].weights.gender", "SENSITIVE_FEATURE"),
        ({"weights": {"charm": 1.0}}, "models[1].weights.charm", "UNKNOWN_FEATURE"),
        ({"weights": {"interests": "1"}}, "models[1].weights.interests", "WEIGHT"),
        ({"weights": []}, "models[1]", "SHAPE"),
        ({"meeting": None}, "models[1].meeting", "WEIGHT"),
        ({"version": 5}, "models[1]", "SHAPE"),
        ({"version": "linear-1"}, "models[1].digest", "DIGEST"),
        ({"meeting": 0.75}, "models[1].digest", "DIGEST"),
        ({"bias": 0.75}, "models[1].bias", "SHAPE"),
        ({"note": 5}, "models[1]", "SHAPE"),
    ],
)
def test_a_wrong_version_is_named(
    path: Path, model: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(ScoreModelRefused) as found:
        read_registry(changed(path, {}, model))
    assert (found.value.field, found.value.reason) == (field, reason)


@pytest.mark.parametrize(
    "content", ["{", "[]", "5", "\xff", "[" * 100_000, "{}" + " " * MOST_BYTES]
)
def test_what_is_no_registry_is_refused(path: Path, content: str) -> None:
    path.write_text(content, encoding="latin-1")
    with pytest.raises(ScoreModelRefused) as found:
        read_registry(path)
    assert (found.value.field, found.value.reason) == (str(path), "FILE")


def test_an_absent_file_is_named(path: Path) -> None:
    with pytest.raises(ScoreModelRefused, match="scores") as found:
        read_registry(path)
    assert found.value.reason == "FILE"


def test_a_write_that_fails_leaves_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_registry(path, Registry())

    def broken(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match="no space"):
        write_registry(path, REGISTRY)
    assert read_registry(path) == Registry()
    assert [left.name for left in path.parent.iterdir()] == ["scores.json"]
