"""The history: everything sent, everything acknowledged, every effect and every fault, as seen from
outside.

A JSONL file that only grows. Entries are numbered, so that a breach can name them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO

Field = str | int | float | bool


class Kind(Enum):
    """What an entry says."""

    SENT = "sent"
    """A driver asked for something; whether it happened is not known yet."""
    ACCEPTED = "accepted"
    """The platform acknowledged it: from now on it must never be lost."""
    TOLD = "told"
    """The platform told a driver something."""
    FAULT = "fault"
    """A fault was made."""
    RECOVERED = "recovered"
    """The time until something worked again after a fault."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `at_s` is seconds since 1970 by this machine's clock, which all processes under
    test share."""

    number: int
    at_s: float
    kind: Kind
    what: str
    fields: Mapping[str, Field]

    @property
    def place(self) -> str:
        """How a breach names it."""
        return f"history:{self.number}"

    def text(self, name: str) -> str:
        """A field as text; empty where it is missing."""
        return str(self.fields.get(name, ""))


class History:
    """Appends entries to a file and keeps them. Used by one loop; `with` closes the file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.entries: list[Entry] = []
        self._file: IO[str] = path.open("a", encoding="utf-8")

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, kind: Kind, what: str, **fields: Field) -> Entry:
        """Appends and hands to the operating system at once: the driver itself may be killed."""
        entry = Entry(len(self.entries) + 1, time.time(), kind, what, fields)
        self.entries.append(entry)
        self._file.write(_line(entry))
        self._file.flush()
        return entry


def read_history(path: Path) -> list[Entry]:
    """Entries of a file. Raises ValueError naming a line that is none; half a last line is what a
    killed driver leaves, and is passed over."""
    return list(_entries(path.read_text(encoding="utf-8")))


def _entries(text: str) -> Iterator[Entry]:
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            return
        try:
            raw = json.loads(line)
            yield Entry(
                int(raw["n"]), float(raw["at"]), Kind(raw["kind"]), str(raw["what"]), raw["fields"]
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"line {number} is no entry: {error!r}") from error


def _line(entry: Entry) -> str:
    raw = {
        "n": entry.number,
        "at": entry.at_s,
        "kind": entry.kind.value,
        "what": entry.what,
        "fields": dict(entry.fields),
    }
    return json.dumps(raw, separators=(",", ":")) + "\n"
