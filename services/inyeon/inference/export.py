"""Writes a Triton model repository from the built model files.

<out>/README.md
<out>/embedding_judge/{config.pbtxt, warmup/space, 1/{model.py, head.npz}}
<out>/image_filter_inception/{config.pbtxt, 1/{model.onnx, model.py where the backend is python}}
<out>/image_filter_mid/...
<out>/session_encoder/{config.pbtxt, 1/{model.py, session_recipe.py}}
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from inyeon.inference import head as heads
from inyeon.inference.catalogue import (
    EXPORTED_NAMES,
    IMAGE_MODELS,
    JUDGE,
    LABELS,
    SESSION_ENCODER,
    Backend,
    ImageModel,
)
from inyeon.inference.head import ContentHead
from inyeon.inference.repository.configs import (
    image_config,
    judge_config,
    session_config,
    space_tensor,
)
from inyeon.runtime.errors import SettingsRefused

VERSION = "1"
README = "README.md"


@dataclass(frozen=True, slots=True)
class Exported:
    """One model that was written; `size_bytes` of all its files."""

    name: str
    backend: str
    size_bytes: int


def export(models_dir: Path, out: Path, backend: Backend) -> tuple[Exported, ...]:
    """Writes the repository to `out`, replacing an older one of ours.

    The new one is complete beside `out` before it takes its place. Raises SettingsRefused for model
    files that are absent or not those of index.json, and for a folder that holds something else.
    """
    _require_ours(out)
    index = _read_index(models_dir)
    head = ContentHead.load(models_dir)
    _require_intact(models_dir / heads.FILE, index)
    fresh = out.with_name(out.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    exported = [_judge(models_dir, fresh / JUDGE, head)]
    for model in IMAGE_MODELS:
        _require_intact(models_dir / model.file, index)
        exported.append(_image(models_dir, fresh / model.name, model, backend))
    exported.append(_sessions(fresh / SESSION_ENCODER))
    (fresh / README).write_text(_readme(backend), "utf-8")
    shutil.rmtree(out, ignore_errors=True)
    fresh.rename(out)
    return tuple(exported)


def _judge(models_dir: Path, folder: Path, head: ContentHead) -> Exported:
    version = _version_folder(folder)
    (folder / "config.pbtxt").write_text(judge_config(head), "utf-8")
    (folder / "warmup").mkdir()
    (folder / "warmup" / "space").write_bytes(space_tensor(head))
    (version / "model.py").write_text(_backend_source("embedding_judge.py"), "utf-8")
    shutil.copyfile(models_dir / heads.FILE, version / "head.npz")
    return Exported(JUDGE, "python", _size(folder))


def _image(models_dir: Path, folder: Path, model: ImageModel, backend: Backend) -> Exported:
    version = _version_folder(folder)
    (folder / "config.pbtxt").write_text(image_config(model, LABELS, backend), "utf-8")
    shutil.copyfile(models_dir / model.file, version / "model.onnx")
    if backend == "python":
        (version / "model.py").write_text(_backend_source("image_filter.py"), "utf-8")
    return Exported(model.name, backend, _size(folder))


def _sessions(folder: Path) -> Exported:
    """The recipe is a copy of the file that runs in our own processes."""
    version = _version_folder(folder)
    (folder / "config.pbtxt").write_text(session_config(), "utf-8")
    (version / "model.py").write_text(_backend_source("session_encoder.py"), "utf-8")
    recipe = files("inyeon.inference").joinpath("session_recipe.py").read_text("utf-8")
    (version / "session_recipe.py").write_text(recipe, "utf-8")
    return Exported(SESSION_ENCODER, "python", _size(folder))


def _version_folder(folder: Path) -> Path:
    version = folder / VERSION
    version.mkdir(parents=True)
    return version


def _backend_source(name: str) -> str:
    return files("inyeon.inference.repository").joinpath("backends", name).read_text("utf-8")


def _require_ours(out: Path) -> None:
    if not out.exists():
        return
    known = {*EXPORTED_NAMES, README}
    foreign = (
        [path.name for path in out.iterdir() if path.name not in known] if out.is_dir() else [""]
    )
    if foreign:
        message = f"{out} holds {foreign[0] or 'a file'} that no export wrote: name another folder"
        raise SettingsRefused(message, reason="FOLDER_IN_USE", field="out")


def _read_index(models_dir: Path) -> Mapping[str, str]:
    try:
        document = json.loads((models_dir / "index.json").read_text("utf-8"))
        return {str(item["file"]): str(item["sha256"]) for item in document["files"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"no models in {models_dir} ({error}): run `make models`"
        raise SettingsRefused(message, reason="NO_MODELS", field="models_dir") from error


def _require_intact(path: Path, index: Mapping[str, str]) -> None:
    try:
        actual = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        message = f"{path} is absent: run `make models`"
        raise SettingsRefused(message, reason="NO_MODELS", field="models_dir") from error
    if actual != index.get(path.name):
        message = f"{path} is not the file of index.json: run `make models`"
        raise SettingsRefused(message, reason="MODEL_ALTERED", field="models_dir")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _readme(backend: Backend) -> str:
    return f"""# Inyeon's Triton model repository (images on the {backend} backend)

Written by `inyeon inference export`; write it anew instead of changing it. Start the server with
`--disable-auto-complete-config --model-control-mode=none --strict-readiness=true`.

- `embedding_judge`: bank search and head on the content embedding. Python backend, with numpy below
  2. Its bank is fed over gRPC by whoever asks; one instance, because the bank is in its memory.
- `image_filter_inception`, `image_filter_mid`: second votes on evidence, which is off by default.
- `{SESSION_ENCODER}`: matching's; what somebody's last conversations say about their taste. Python
  backend, keeps nothing, as many servers as you like.
"""
