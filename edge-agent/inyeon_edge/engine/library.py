"""The folder of built models: checks each file against index.json, loads it once, shares it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from inyeon_edge.engine.litert import LiteRtSession
from inyeon_edge.engine.onnx import OnnxSession
from inyeon_edge.engine.session import RuntimeSession
from inyeon_edge.errors import ModelCorrupt, ModelMissing

INDEX = "index.json"

Opener = Callable[[Path, int], RuntimeSession]
OPENERS: dict[str, Opener] = {".tflite": LiteRtSession, ".onnx": OnnxSession}


class ModelLibrary:
    """Gives files and runtime sessions by file name. One per process; threads may share it."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self._folder = folder
        self._threads = threads
        self._lock = threading.Lock()  # guards the two dictionaries, so that a model loads once
        self._sessions: dict[str, RuntimeSession] = {}
        self._digests: dict[str, str] | None = None

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

    def version(self, name: str) -> str:
        """First 12 hex digits of the file's SHA-256: what windows name as the model's version."""
        with self._lock:
            return self._expected(name)[:12]

    def _open(self, name: str) -> RuntimeSession:
        opener = OPENERS.get(Path(name).suffix)
        if opener is None:
            raise ModelCorrupt(f"no engine runs {name}", field=name)
        return opener(self._checked(name), self._threads)

    def _checked(self, name: str) -> Path:
        expected = self._expected(name)
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

    def _expected(self, name: str) -> str:
        if self._digests is None:
            self._digests = read_index(self._folder / INDEX)
        if name not in self._digests:
            raise ModelMissing(f"{INDEX} has no line for {name}", field=name)
        return self._digests[name]


def read_index(path: Path) -> dict[str, str]:
    """SHA-256 by file name. Raises ModelMissing where absent, ModelCorrupt where it is no index."""
    try:
        tree: object = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ModelMissing(f"{path} is absent: run inyeon-models build", field=path.name) from error
    except ValueError as error:
        raise ModelCorrupt(f"{path.name} is no JSON: {error}", field=path.name) from error
    return dict(_entries("", tree))


def _entries(key: str, node: object) -> Iterator[tuple[str, str]]:
    """Every (file name, sha256) of an index, named by an entry's `file`, or else by its key."""
    if isinstance(node, list):
        for item in node:
            yield from _entries(key, item)
    if not isinstance(node, dict):
        return
    digest = node.get("sha256")
    if isinstance(digest, str):
        name = next((node[k] for k in ("file", "path", "name") if k in node), key)
        yield str(name), digest.lower()
    for child_key, child in node.items():
        yield from _entries(str(child_key), child)
