"""The registry's file, read again when it has changed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from inyeon.matching.adapters.score_models import read_registry
from inyeon.matching.domain.score_models import Registry, ScoreModelRefused


class FileScores:
    """`ScoreFiles`. Reading takes some ms, looking whether it changed 0.1 ms, both in a thread."""

    def __init__(self, path: Path | None) -> None:
        """None: there is no file, and the first version is the only one."""
        self._path = path
        self._read: tuple[tuple[int, int, int], Registry] | None = None

    async def registry(self) -> Registry:
        if self._path is None:
            return Registry()
        return await asyncio.to_thread(self._registry, self._path)

    def _registry(self, path: Path) -> Registry:
        try:
            found = path.stat()
        except OSError as error:
            raise ScoreModelRefused(str(path), "FILE", str(error)) from error
        mark = found.st_mtime_ns, found.st_size, found.st_ino
        if self._read is None or self._read[0] != mark:
            self._read = mark, read_registry(path)
        return self._read[1]
