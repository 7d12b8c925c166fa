"""Reads the speed-dating survey that the mutual-interest model is learned from.

Nothing of it is ever committed. Columns are judged by the survey's key: only what people answered
when they registered is read as a fact. Left out on purpose:

- filled in during or after the dates: `dec`, `like`, `prob`, `met`, `match_es`, ratings of the
  partner, every `_s`, `_2` and `_3`, and the partner's copies `*_o`;
- sensitive, or nearly so: age, race, importance of race and religion, origin, income, field
  (SENSITIVE is read for an ablation only);
- asked on another scale in waves 6 to 9, or not in all waves: preferences (`*1_1`, `*2_1`, read for
  an ablation only), `*4_1`, `*5_1`, `expnum`;
- of the evening, not of the people: order, position, round, condition;
- `int_corr`, which we compute ourselves, so that a product could.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inyeon_models.errors import SourceError
from inyeon_models.files import sha256_of
from inyeon_models.mutual_interest import ANSWERS, Exact, clipped

Ints = NDArray[np.int64]

SURVEY = "reciprocal/speed_dating_waves_1_11.csv"
SENSITIVE = ("age", "imprace", "imprelig")
_TRAITS = ("attr", "sinc", "intel", "fun", "amb", "shar")
PREFERENCES = tuple(f"{trait}{asked}_1" for asked in (1, 2) for trait in _TRAITS)
WOMAN, MAN = "0", "1"

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Survey:
    """Pairs who met, (n,), and their people, (p,)."""

    wave: Ints
    """(n,) evening of each pair."""
    one: Ints
    """(n,) place of one person among the people."""
    other: Ints
    """(n,) place of the other, of the second group: nobody is in both."""
    both: Exact
    """(n,) 1 where both said yes, else 0."""
    answers: Exact
    """(p, 25) within their scales; NaN where not given."""
    extra: Mapping[str, Exact]
    """Answers (p,) that only ablations read."""
    person_wave: Ints
    """(p,) evening of each person."""
    sha256: str
    """Of the file."""

    def __len__(self) -> int:
        return len(self.wave)


def read_survey(data: Path) -> Survey:
    """Every pair once. Raises SourceError for a file, column, number or partner that is missing,
    and for decisions that contradict each other."""
    path = data / SURVEY
    rows = _rows(path)
    by_person: dict[str, Row] = {}
    for row in rows:  # of a person's rows the first one counts
        by_person.setdefault(row["iid"], row)
    places = {person: place for place, person in enumerate(by_person)}
    pairs = [row for row in rows if row["gender"] == WOMAN]
    _check(path, rows, pairs, by_person)
    numbers = [
        _answers(path, row, (*ANSWERS, *PREFERENCES, *SENSITIVE)) for row in by_person.values()
    ]
    table, known = np.asarray(numbers), len(ANSWERS)
    return Survey(
        np.asarray([int(row["wave"]) for row in pairs]),
        np.asarray([places[row["iid"]] for row in pairs]),
        np.asarray([places[row["pid"]] for row in pairs]),
        np.asarray([float(row["match"]) for row in pairs]),
        clipped(table[:, :known]),
        dict(zip((*PREFERENCES, *SENSITIVE), table[:, known:].T, strict=True)),
        np.asarray([int(row["wave"]) for row in by_person.values()]),
        sha256_of(path),
    )


def _rows(path: Path) -> list[Row]:
    wanted = {"iid", "pid", "gender", "wave", "match", "dec", "dec_o"}
    wanted |= {*ANSWERS, *PREFERENCES, *SENSITIVE}
    try:
        with path.open(encoding="latin-1", newline="") as file:
            reader = csv.DictReader(file)
            missing = sorted(wanted - set(reader.fieldnames or ()))
            rows: list[Row] = list(reader)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    if missing or not rows:
        raise SourceError(f"{path}: no column {missing[0]}" if missing else f"{path}: no rows")
    return rows


def _check(path: Path, rows: Iterable[Row], pairs: list[Row], people: Mapping[str, Row]) -> None:
    for line, row in enumerate(rows, start=2):
        known = row["gender"] in (WOMAN, MAN) and (row["wave"] or "").isdecimal()
        if not known or {row["dec"], row["dec_o"], row["match"]} - {"0", "1"}:
            raise SourceError(f"{path}: line {line}: gender, wave, dec, dec_o or match")
        if (row["match"] == "1") != (row["dec"] == row["dec_o"] == "1"):
            raise SourceError(f"{path}: line {line}: match contradicts dec and dec_o")
    for row in pairs:
        partner = people.get(row["pid"])
        if partner is None or partner["gender"] != MAN:
            raise SourceError(f"{path}: person {row['iid']}: no man {row['pid']!r} in the file")


def _answers(path: Path, row: Row, names: tuple[str, ...]) -> list[float]:
    return [_number(path, row, name) for name in names]


def _number(path: Path, row: Row, name: str) -> float:
    text = (row[name] or "").strip()
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SourceError(f"{path}: person {row['iid']}: {name}: {text!r} is no number")
    return value
