"""Reads the table of countries and pools from its two CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from inyeon.matching.domain.territories import (
    PolicySet,
    PoolArea,
    TableRefused,
    Territories,
    Territory,
)
from inyeon.runtime.errors import SettingsRefused

COUNTRY_COLUMNS = ("country", "name", "pool", "policy_set", "age_of_majority", "languages")
POOL_COLUMNS = ("pool", "neighbours")
MAX_BYTES = 1 << 20
"""The table that ships has 12 KB."""


def read_territories(countries: Path, pools: Path) -> Territories:
    """The table of both files. Raises SettingsRefused naming file, line and reason."""
    areas = tuple(_area(path_line, row) for path_line, row in rows_of(pools, POOL_COLUMNS))
    rows = tuple(
        _territory(path_line, row) for path_line, row in rows_of(countries, COUNTRY_COLUMNS)
    )
    try:
        return Territories(areas, rows)
    except TableRefused as error:
        raise refused(str(countries), error.reason, str(error)) from error


def rows_of(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row of a CSV file, with the place that an error names. Raises SettingsRefused."""
    reader = csv.DictReader(_text(path).splitlines(), strict=True)
    if tuple(reader.fieldnames or ()) != tuple(columns):
        raise refused(f"{path}:1", "COLUMNS", f"the columns are not {', '.join(columns)}")
    try:
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                raise refused(where, "COLUMNS", f"a row has {len(columns)} columns")
            yield where, row
    except csv.Error as error:
        # The reader counts a line once it is whole.
        raise refused(f"{path}:{reader.line_num + 1}", "NOT_CSV", str(error)) from error


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise refused(str(path), "TOO_LARGE", f"more than {MAX_BYTES} bytes")
        return data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise refused(str(path), "UNREADABLE", str(error)) from error


def _area(where: str, row: dict[str, str]) -> PoolArea:
    try:
        return PoolArea(row["pool"], tuple(row["neighbours"].split()))
    except TableRefused as error:
        raise refused(where, error.reason, str(error)) from error


def _territory(where: str, row: dict[str, str]) -> Territory:
    if not row["country"]:
        raise refused(where, "COUNTRY_UNKNOWN", "a row without a country")
    try:
        return Territory(
            row["country"],
            row["name"],
            row["pool"],
            set_named(where, row["policy_set"]),
            _age(where, row["age_of_majority"]),
            tuple(row["languages"].split()),
        )
    except TableRefused as error:
        raise refused(where, error.reason, str(error)) from error


def set_named(where: str, name: str) -> PolicySet:
    """The policy set of that name. Raises SettingsRefused (POLICY_SET)."""
    known = {one.name.lower(): one for one in PolicySet}
    if name not in known:
        raise refused(where, "POLICY_SET", f"{name!r} is none of {', '.join(known)}")
    return known[name]


def _age(where: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3):
        raise refused(where, "AGE_OF_MAJORITY", f"{text!r} is no number of years")
    return int(text)


def refused(where: str, reason: str, message: str) -> SettingsRefused:
    """The error for what is wrong at a place."""
    return SettingsRefused(f"{where}: {message}", reason=reason, field=where)
