"""The registry of scores as a JSON file, read and written whole.

    {"format": 1, "activations": ["linear-1"],
     "models": [{"version": "linear-1", "meeting": 0.5, "weights": {"interests": 1.0},
                 "note": "by hand", "digest": "16 hexadecimal digits"}]}

`digest` may be absent in a file written by hand; where it is there, it must fit the numbers, so
that nobody edits a version whose name is in logs.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from inyeon.matching.domain.score_models import Registry, ScoreModel, ScoreModelRefused

FORMAT = 1
MOST_BYTES = 1 << 20  # 256 models of some 300 bytes are 80 kB
_MODEL_KEYS = {"version", "meeting", "weights"}
_MORE_KEYS = {"note", "digest"}


def read_registry(path: Path) -> Registry:
    """Raises ScoreModelRefused: FILE (absent, too large, no JSON), SHAPE, DIGEST, and what Registry
    and ScoreModel raise; `field` says where, such as `models[2].weights.gender`."""
    document = _document(path)
    _check_keys(document, {"format", "activations", "models"}, set(), "")
    if document["format"] != FORMAT:
        raise ScoreModelRefused("format", "SHAPE", f"{document['format']!r} is not {FORMAT}")
    models, activations = document["models"], document["activations"]
    if not isinstance(models, list):
        raise ScoreModelRefused("models", "SHAPE", "a list is wanted")
    if not isinstance(activations, list) or not all(isinstance(v, str) for v in activations):
        raise ScoreModelRefused("activations", "SHAPE", "a list of versions is wanted")
    read = tuple(model_from(model, f"models[{place}]") for place, model in enumerate(models))
    return Registry(read, tuple(activations))


def write_registry(path: Path, registry: Registry) -> None:
    """Replaces the file at once: a reader sees the old one or the new one. Raises OSError."""
    text = json.dumps(
        {
            "format": FORMAT,
            "activations": list(registry.activations),
            "models": [model_to(model) for model in registry.models],
        },
        indent=1,
    )
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        document = json.loads(data) if len(data) <= MOST_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise ScoreModelRefused(str(path), "FILE", str(error)) from error
    if not isinstance(document, dict):
        raise ScoreModelRefused(str(path), "FILE", f"no JSON object within {MOST_BYTES} bytes")
    return document


def model_from(found: object, field: str) -> ScoreModel:
    """One version as in the file. Raises ScoreModelRefused, whose `field` begins with `field`."""
    if not isinstance(found, dict):
        raise ScoreModelRefused(field, "SHAPE", "an object is wanted")
    _check_keys(found, _MODEL_KEYS, _MORE_KEYS, f"{field}.")
    version, weights, note = found["version"], found["weights"], found.get("note", "")
    if not (isinstance(version, str) and isinstance(weights, dict) and isinstance(note, str)):
        raise ScoreModelRefused(field, "SHAPE", "version and note are texts, weights an object")
    try:
        model = ScoreModel(version, found["meeting"], weights, note)
    except ScoreModelRefused as refused:
        raise ScoreModelRefused(
            f"{field}.{refused.field}", refused.reason, str(refused)
        ) from refused
    if found.get("digest", model.digest) != model.digest:
        raise ScoreModelRefused(f"{field}.digest", "DIGEST", f"the numbers are of {model.digest}")
    return model


def _check_keys(found: dict[str, Any], wanted: set[str], more: set[str], field: str) -> None:
    for name in sorted(wanted - found.keys()):
        raise ScoreModelRefused(f"{field}{name}", "SHAPE", "is missing")
    for name in sorted(found.keys() - wanted - more):
        raise ScoreModelRefused(f"{field}{name}", "SHAPE", "is not known")


def model_to(model: ScoreModel) -> dict[str, object]:
    """One version as in the file."""
    return {
        "version": model.version,
        "meeting": model.meeting,
        "weights": dict(model.weights),
        "note": model.note,
        "digest": model.digest,
    }
