"""The mutual-interest model: will two people both like each other, from what they said before.

logit = intercept + sum over answers of weight * (z_one + z_other) / sqrt 2 + similarity term; z is
an answer clipped to its range, minus its mean, over its scale, and 0 where it is missing. The
similarity is Pearson's correlation of both people's interests. Symmetric: who is asked first never
matters. "Both like" is one event with one probability, never a product of two directions.

Figures and limits: models/cards/mutual-interest.md.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inyeon_models.errors import SourceError

Exact = NDArray[np.float64]

FORMAT = 1
INTERESTS = (
    "sports", "tvsports", "exercise", "dining", "museums", "art", "hiking", "gaming", "clubbing",
    "reading", "tv", "theater", "movies", "concerts", "music", "shopping", "yoga",
)  # fmt: skip
"""How interested, 1 to 10, asked at registration; names as in the survey's key."""
SELF = ("attr3_1", "sinc3_1", "intel3_1", "fun3_1", "amb3_1")
"""How they rate themselves, 1 to 10, asked at registration."""
HABITS = ("exphappy", "date", "go_out")
"""How happy they expect to be (1 to 10); how often they date and go out (1 often to 7 never)."""
ANSWERS = (*INTERESTS, *SELF, *HABITS)
SIMILARITY = "similarity"
LOWEST = 1.0
HIGHEST = {"date": 7.0, "go_out": 7.0}
"""Top of the scales that do not end at 10."""


@dataclass(frozen=True, slots=True)
class MutualModel:
    """What one file says. Tuples run along `features`: the answers, then the similarity."""

    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    data_sha256: str
    """Of the survey file that it was learned from."""

    @property
    def version(self) -> str:
        """The format and a digest of the numbers."""
        return f"{FORMAT}-{_digest(self)}"

    def probability(self, one: Exact, other: Exact) -> Exact:
        """(n,) chances in (0, 1) that both like each other, from answers (n, 25) each.

        NaN is an answer not given. Raises SourceError for another shape or an infinite answer."""
        for answers in (one, other):
            if answers.ndim != 2 or answers.shape[1] != len(ANSWERS) or len(one) != len(other):
                raise SourceError(f"answers: {answers.shape}, (n, {len(ANSWERS)}) is wanted")
            if np.isinf(answers).any():
                raise SourceError("answers: infinite")
        raw = (clipped(one), clipped(other))
        sums = (self._standard(raw[0]) + self._standard(raw[1])) / math.sqrt(2.0)
        near = (similarity(*raw) - self.means[-1]) / self.scales[-1]
        rows = np.column_stack([sums, np.nan_to_num(near)])
        return sigmoid(rows @ np.asarray(self.weights) + self.intercept)

    def _standard(self, answers: Exact) -> Exact:
        centred = answers - np.asarray(self.means[:-1])
        return np.asarray(np.nan_to_num(centred / np.asarray(self.scales[:-1])))


def clipped(answers: Exact) -> Exact:
    """(n, 25) within the scales of the survey: a few answers of 13 and 14 lie above 10."""
    top = [HIGHEST.get(name, 10.0) for name in ANSWERS]
    return np.asarray(np.clip(answers, LOWEST, top))


def similarity(one: Exact, other: Exact) -> Exact:
    """(n,) Pearson correlations of the interests of answers (n, 25), in [-1, 1]; NaN where one is
    missing or somebody answered everything alike."""
    mine, yours = (answers[:, : len(INTERESTS)] for answers in (one, other))
    mine = mine - mine.mean(axis=1, keepdims=True)
    yours = yours - yours.mean(axis=1, keepdims=True)
    lengths = np.sqrt((mine**2).sum(axis=1) * (yours**2).sum(axis=1))
    return np.asarray((mine * yours).sum(axis=1) / np.where(lengths > 0, lengths, np.nan))


def sigmoid(logits: Exact) -> Exact:
    """1 / (1 + e^-x), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))


def to_json(model: MutualModel) -> bytes:
    """The file's content."""
    document = {"format": FORMAT, "version": model.version, **asdict(model)}
    return (json.dumps(document, indent=1) + "\n").encode()


def load_model(path: Path) -> MutualModel:
    """Reads and checks a file. Raises SourceError naming the field."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise SourceError(f"{path}: format {FORMAT} is wanted")
    model = _model(path, document)
    if model.version != document.get("version"):
        raise SourceError(f"{path}: version: its numbers are of {model.version}")
    return model


def _model(path: Path, document: dict[str, Any]) -> MutualModel:
    features = document.get("features")
    if features != [*ANSWERS, SIMILARITY]:
        raise SourceError(f"{path}: features: not the {len(ANSWERS) + 1} that are known")
    columns = [_numbers(path, document, name) for name in ("means", "scales", "weights")]
    if min(columns[1]) <= 0.0:
        raise SourceError(f"{path}: scales: not above 0")
    origin = document.get("data_sha256")
    if not isinstance(origin, str):
        raise SourceError(f"{path}: data_sha256: a digest is wanted")
    (intercept,) = _numbers(path, {"intercept": [document.get("intercept")]}, "intercept", 1)
    means, scales, weights = columns
    return MutualModel(tuple(features), means, scales, weights, intercept, origin)


def _numbers(
    path: Path, document: dict[str, Any], name: str, wanted: int = len(ANSWERS) + 1
) -> tuple[float, ...]:
    values = document.get(name)
    if not isinstance(values, list) or len(values) != wanted or not all(map(_is_number, values)):
        raise SourceError(f"{path}: {name}: {wanted} finite numbers are wanted")
    return tuple(float(value) for value in values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _digest(model: MutualModel) -> str:
    return hashlib.sha256(json.dumps(asdict(model), sort_keys=True).encode()).hexdigest()[:12]
