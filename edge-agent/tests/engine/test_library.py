from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from inyeon_edge.engine import ModelLibrary
from inyeon_edge.engine.library import read_index
from inyeon_edge.errors import ModelCorrupt, ModelMissing

pytestmark = pytest.mark.unit

FACE = "face_detection_short_range.tflite"


def write_index(folder: Path, *files: str) -> None:
    entries = [
        {
            "name": "m",
            "version": "1",
            "file": name,
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
        }
        for name in files
    ]
    (folder / "index.json").write_text(json.dumps({"schema_version": 1, "files": entries}))


def test_users_share_one_session(models: ModelLibrary) -> None:
    assert models.session(FACE) is models.session(FACE)


def test_the_real_index_names_models_and_versions(models: ModelLibrary) -> None:
    entry = models.entry("nsfw_mobilenet_v2.onnx")
    assert entry.name == "nsfw-mobilenet-v2"
    assert entry.version
    assert len(entry.sha256) == 64


@pytest.mark.parametrize("name", [FACE, "nsfw_mobilenet_v2.onnx"])
def test_a_truncated_file_is_refused_by_its_digest(
    models_dir: Path, tmp_path: Path, name: str
) -> None:
    data = (models_dir / name).read_bytes()
    (tmp_path / name).write_bytes(data)
    write_index(tmp_path, name)
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelCorrupt, match="SHA-256") as raised:
        ModelLibrary(tmp_path).session(name)
    assert raised.value.field == name
    assert raised.value.reason == "MODEL_CORRUPT"


@pytest.mark.parametrize("name", [FACE, "nsfw_mobilenet_v2.onnx"])
def test_a_truncated_file_with_a_matching_digest_is_refused_by_its_engine(
    models_dir: Path, tmp_path: Path, name: str
) -> None:
    data = (models_dir / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    write_index(tmp_path, name)
    with pytest.raises(ModelCorrupt) as raised:
        ModelLibrary(tmp_path).session(name)
    assert raised.value.field == name


def test_what_is_absent_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="inyeon-models build"):
        ModelLibrary(tmp_path).session(FACE)
    (tmp_path / "a.onnx").write_bytes(b"x")
    write_index(tmp_path, "a.onnx")
    with pytest.raises(ModelMissing) as raised:
        ModelLibrary(tmp_path).session(FACE)
    assert raised.value.field == FACE
    (tmp_path / "a.onnx").unlink()
    with pytest.raises(ModelMissing):
        ModelLibrary(tmp_path).path("a.onnx")


def test_a_file_that_no_engine_runs(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x")
    write_index(tmp_path, "a.txt")
    library = ModelLibrary(tmp_path)
    assert library.path("a.txt") == tmp_path / "a.txt"
    with pytest.raises(ModelCorrupt, match="no engine"):
        library.session("a.txt")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"files": 3}', '{"files": [3]}', '{"files": [{"file": "a"}]}']
)
def test_a_broken_index_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(ModelCorrupt) as raised:
        read_index(tmp_path / "index.json")
    assert raised.value.field == "index.json"
