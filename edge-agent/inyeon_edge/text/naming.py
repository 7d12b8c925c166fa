"""Names and versions of built model files, as `index.json` in their folder gives them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inyeon_edge.errors import ModelCorrupt, ModelMissing

DIGEST_DIGITS = 12


@dataclass(frozen=True, slots=True)
class ModelName:
    """What a vector or a score says about its model."""

    name: str
    version: str


def model_name(folder: Path, file: str) -> ModelName:
    """The manifest's name and version of a file; where the index has no version, the first 12 hex
    digits of its SHA-256. Raises ModelMissing or ModelCorrupt."""
    path = folder / "index.json"
    try:
        tree: object = json.loads(path.read_text("utf-8"))
    except OSError as error:
        message = f"{path} is absent: run `make models`"
        raise ModelMissing(message, field="index.json") from error
    except ValueError as error:
        raise ModelCorrupt(f"{path} is no JSON: {error}", field="index.json") from error
    for key, entry in _entries("", tree):
        if entry.get("file", key) == file:
            name = str(entry.get("name") or key)
            version = str(entry.get("version") or str(entry.get("sha256", ""))[:DIGEST_DIGITS])
            return ModelName(name if name != file else Path(file).stem, version)
    raise ModelMissing(f"index.json has no line for {file}", field=file)


def _entries(key: str, node: object) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, list):
        for item in node:
            yield from _entries(key, item)
    elif isinstance(node, dict):
        if "sha256" in node:
            yield key, node
        for child_key, child in node.items():
            yield from _entries(str(child_key), child)
