"""How well a reduced embedding still finds the translation of a sentence, in 16 languages.

For each pair of languages and each direction, every sentence looks for its translation among all
sentences of the other side; recall@k is the share that has it among the k nearest by cosine.
Measured on tatoeba-dev (CC BY 2.0 FR), which the fit never sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inyeon_models.errors import SourceError
from inyeon_models.interests import DIMS, fit_interests, read_phrases
from inyeon_models.reduction import Projection, int8_scaled, unit
from inyeon_models.sentences import Float, SentenceEncoder

CANDIDATES = (32, 64, 96, 128, 256)
FULL_DIMS = 512
ALLOWED_LOSS = 0.015  # of recall@10, against 512 float numbers
# Tatoeba's codes of the encoder's languages; Chinese counts twice (simplified and traditional).
_CODES = "ara-deu-eng-fra-ita-jpn-kor-nld-pol-por-rus-spa-tha-tur-zho"
LANGUAGES = frozenset(_CODES.split("-"))

Encode = Callable[[Sequence[str]], Float]
Reduce = Callable[[Float], Float]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sides of one test set; row i of the left translates row i of the right."""

    name: str
    left: Float
    right: Float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `size_bytes` is what travels, scale included."""

    dims: int
    encoding: str
    size_bytes: int
    recall_at_1: float
    recall_at_10: float
    worst_pair: str
    worst_recall_at_10: float
    chosen: bool

    def document(self) -> dict[str, object]:
        """The row as JSON."""
        return asdict(self)


def recall_table(folder: Path, phrases: Path, data: Path) -> tuple[Row, ...]:
    """Measure all candidates; raises SourceError where the test sets are absent."""
    encoder = SentenceEncoder(folder)
    fitted = read_phrases(phrases)
    pairs = read_pairs(data / "translation" / "tatoeba-dev", encoder.encode, set(fitted))
    embeddings = encoder.encode(fitted)
    rows = [_row(FULL_DIMS, "float32", FULL_DIMS * 4, pairs, unit)]
    rows.append(_row(FULL_DIMS, "int8", FULL_DIMS + 4, pairs, _through_int8))
    for dims in CANDIDATES:
        projection = fit_interests(embeddings, min(dims, len(fitted)))
        rows.append(_row(dims, "int8", dims + 4, pairs, _reducer(projection)))
    return tuple(rows)


def choose(rows: Sequence[Row]) -> int:
    """Smallest int8 candidate within ALLOWED_LOSS of the first row (512 float numbers)."""
    floor = rows[0].recall_at_10 - ALLOWED_LOSS
    return min(row.dims for row in rows[1:] if row.recall_at_10 >= floor)


def read_pairs(folder: Path, encode: Encode, seen: set[str]) -> tuple[Pair, ...]:
    """Embed every test set of two supported languages, without pairs that hold a `seen` text."""
    names = sorted({path.stem for path in folder.glob("*-*.*")})
    pairs = []
    for name in names:
        left, right = name.split("-")
        if {left, right} <= LANGUAGES:
            pairs.append(_read_pair(folder, name, (left, right), encode, seen))
    if not pairs:
        raise SourceError(f"{folder}: no test sets; set INYEON_DATA to the data folder")
    return tuple(pairs)


def recalls(queries: Float, candidates: Float) -> tuple[float, float]:
    """Recall@1 and recall@10 where candidate i is right for query i; rows of length 1."""
    similarity = queries @ candidates.T
    better = (similarity > np.diag(similarity)[:, None]).sum(axis=1)
    return float(np.mean(better < 1)), float(np.mean(better < 10))


def _read_pair(
    folder: Path, name: str, languages: tuple[str, str], encode: Encode, seen: set[str]
) -> Pair:
    left, right = (
        (folder / f"{name}.{language}").read_text("utf-8").splitlines() for language in languages
    )
    kept = [(a, b) for a, b in zip(left, right, strict=True) if not {a, b} & seen]
    return Pair(name, encode([a for a, _ in kept]), encode([b for _, b in kept]))


def _row(dims: int, encoding: str, size_bytes: int, pairs: Sequence[Pair], reduce: Reduce) -> Row:
    results: dict[str, tuple[float, float]] = {}
    for pair in pairs:
        left, right = reduce(pair.left), reduce(pair.right)
        there, back = recalls(left, right), recalls(right, left)
        results[pair.name] = ((there[0] + back[0]) / 2, (there[1] + back[1]) / 2)
    worst = min(results, key=lambda name: results[name][1])
    means: NDArray[np.float64] = np.mean(list(results.values()), axis=0)
    return Row(
        dims=dims,
        encoding=encoding,
        size_bytes=size_bytes,
        recall_at_1=round(float(means[0]), 4),
        recall_at_10=round(float(means[1]), 4),
        worst_pair=worst,
        worst_recall_at_10=round(results[worst][1], 4),
        chosen=dims == DIMS,
    )


def _reducer(projection: Projection) -> Reduce:
    return lambda vectors: _through_int8(projection.apply(vectors))


def _through_int8(vectors: Float) -> Float:
    """What the other side sees: quantised as it travels, then scaled to length 1."""
    quantised, scale = int8_scaled(vectors)
    return unit(np.asarray(quantised * scale[:, None], dtype=np.float32))
