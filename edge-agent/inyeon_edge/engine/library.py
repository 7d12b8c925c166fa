"""The folder of built models: checks each file against index.json, loads it once, shares it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inyeon_edge.engine.litert import LiteRtSession
from inyeon_edge.engine.onnx import OnnxSession
from inyeon_edge.engine.session import RuntimeSession
from inyeon_edge.errors import ModelCorrupt, ModelMissing

INDEX = "index.json"

Opener = Callable[[Path, int], RuntimeSession]
OPENERS: dict[str, Opener] = {".tflite": LiteRtSession, ".onnx": OnnxSession}


@dataclass(frozen=True)
class ModelEntry:
    """One file of the index. Windows and embedding spaces carry its name and version."""

    name: str
    version: str
    file: str
    """Path below the folder, with forward slashes."""
    sha256: str


class ModelLibrary:
    """Gives files and runtime sessions by file name. One per process; threads may share it."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self._folder = folder
        self._threads = threads
        self._lock = threading.Lock()  # guards the two below, so that a model loads once
        self._sessions: dict[str, RuntimeSession] = {}
        self._entries: dict[str, ModelEntry] | None = None

    def session(self, name: str) -> RuntimeSession:
        """The loaded model, the same object for every caller.

        Raises ModelMissing where the file or its line in index.json is absent, ModelCorrupt where
        its SHA-256 differs or no engine reads it. Loading takes 2 to 50 ms, later calls nothing.
        """
        with self._lock:
            if name not in self._sessions:
                self._sessions[name] = self._open(name)
            return self._sessions[name]

    def path(self, name: str) -> Path:
        """The checked path of any file of the folder; errors as `session`."""
        with self._lock:
            return self._checked(name)

    def entry(self, name: str) -> ModelEntry:
        """The index's line about a file; raises ModelMissing where there is none."""
        with self._lock:
            return self._expected(name)

    def _open(self, name: str) -> RuntimeSession:
        opener = OPENERS.get(Path(name).suffix)
        if opener is None:
            raise ModelCorrupt(f"no engine runs {name}", field=name)
        return opener(self._checked(name), self._threads)

    def _checked(self, name: str) -> Path:
        expected = self._expected(name).sha256
        path = self._folder / name
        try:
            actual = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise ModelMissing(f"{path} cannot be read: {error}", field=name) from error
        if actual != expected:
            raise ModelCorrupt(
                f"{name} has SHA-256 {actual[:12]}, index.json says {expected[:12]}", field=name
            )
        return path

    def _expected(self, name: str) -> ModelEntry:
        if self._entries is None:
            self._entries = read_index(self._folder / INDEX)
        if name not in self._entries:
            raise ModelMissing(f"{INDEX} has no line for {name}", field=name)
        return self._entries[name]


def read_index(path: Path) -> dict[str, ModelEntry]:
    """Entries by file name. Raises ModelMissing where absent, ModelCorrupt where it is no index."""
    try:
        tree: object = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ModelMissing(f"{path} is absent: run inyeon-models build", field=path.name) from error
    except ValueError as error:
        raise ModelCorrupt(f"{path.name} is no JSON: {error}", field=path.name) from error
    files = tree.get("files") if isinstance(tree, dict) else None
    if not isinstance(files, list):
        raise ModelCorrupt(f"{path.name} lists no files", field=path.name)
    return {entry.file: entry for entry in map(_entry, files)}


def _entry(node: object) -> ModelEntry:
    if not isinstance(node, dict):
        raise ModelCorrupt(f"{INDEX} lists {node!r}", field=INDEX)
    values = [node.get(key) for key in ("name", "version", "file", "sha256")]
    if not all(isinstance(value, str) and value for value in values):
        raise ModelCorrupt(f"{INDEX} has an incomplete entry: {values}", field=INDEX)
    name, version, file, digest = map(str, values)
    return ModelEntry(name, version, file, digest.lower())
