"""What the checker looks at: the history, every record of every topic, the final databases, and the
output of the processes. Nothing here reads anything; see `reading.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inyeon_chaos.history import Entry

Cell = str | int | float | bool | bytes | None
Row = Mapping[str, Cell]


def text(row: Row, column: str) -> str:
    """A cell in words; raises KeyError for a column that is none."""
    return str(row[column])


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A record of a topic."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes | None
    headers: Mapping[str, str]

    @property
    def place(self) -> str:
        """How a breach names it."""
        return f"{self.topic}/{self.partition}@{self.offset}"

    @property
    def event_id(self) -> str:
        """Empty where the header is missing."""
        return self.headers.get("event_id", "")

    @property
    def kind(self) -> str:
        """Name of the message without its package."""
        return self.headers.get("type", "").rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Breach:
    """An invariant that does not hold, and the records that show it."""

    invariant: int
    """Its number in the list of eight."""
    says: str
    places: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"invariant {self.invariant}: {self.says} [{', '.join(self.places)}]"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything after a run."""

    history: Sequence[Entry] = ()
    records: Sequence[LogRecord] = ()
    """Of all topics, in order within a partition."""
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    """`<service>.<table>` -> rows."""
    outputs: Mapping[str, bytes] = field(default_factory=dict)
    """Name of a process or file -> what it wrote."""

    def rows(self, table: str) -> Sequence[Row]:
        """Rows of a table. Raises KeyError where it was not read: a missing table proves
        nothing."""
        return self.tables[table]

    def of(self, topic: str, kind: str = "") -> list[LogRecord]:
        """Records of a topic, of one kind of message where named."""
        return [r for r in self.records if r.topic == topic and (not kind or r.kind == kind)]
