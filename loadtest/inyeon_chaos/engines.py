"""The engines under a run, and what can be done to them: embedded files, or real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from inyeon_chaos.evidence import LogRecord
from inyeon_chaos.reading import read_embedded


class Engines(Protocol):
    """What processes under test run on."""

    @property
    def environment(self) -> Mapping[str, str]:
        """INYEON_* settings of the processes."""
        ...

    def database(self, service: str) -> Path | str:
        """Where a service's tables are, for looking at from outside."""
        ...

    async def records(self, topics: Sequence[str]) -> list[LogRecord]:
        """Every record of these topics; of all where none is named."""
        ...


class EmbeddedEngines:
    """The embedded log and SQLite files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self.environment: Mapping[str, str] = {"INYEON_DATA_DIR": str(self._data)}

    def database(self, service: str) -> Path:
        return self._data / f"{service}.db"

    async def records(self, topics: Sequence[str]) -> list[LogRecord]:
        return await read_embedded(self._data / "log.db", topics)
