"""Rows of a bench: a table for people, one JSON object a line for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `bar` None: information only, always ok."""

    bench: str
    metric: str
    value: float
    unit: str
    bar: float | None = None
    better: Literal["higher", "lower"] = "higher"

    @property
    def ok(self) -> bool:
        """The figure holds its bar."""
        if self.bar is None:
            return True
        return self.value >= self.bar if self.better == "higher" else self.value <= self.bar


def report(rows: Sequence[Row], *, as_json: bool) -> int:
    """Prints the rows on stdout; 0 when all are ok."""
    for row in rows:
        if as_json:
            print(json.dumps({**asdict(row), "value": round(row.value, 4), "ok": row.ok}))
        else:
            bar = "" if row.bar is None else f"(bar {row.bar:g})"
            print(
                f"{'ok ' if row.ok else 'BAD'} {row.metric:44} {row.value:12.2f} {row.unit} {bar}"
            )
    return 0 if all(row.ok for row in rows) else 1


def progress(text: str) -> None:
    """Says on stderr what is going on."""
    print(text, file=sys.stderr, flush=True)
