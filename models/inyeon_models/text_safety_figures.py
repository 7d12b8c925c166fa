"""How good the text-safety head is, in numbers that a reader of the card can check.

Accuracy alone is never reported: whoever calls every case of HateCheck hateful is right in 69 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inyeon_models.text_safety import CLASSES, HATE, NEITHER, Exact
from inyeon_models.text_safety_data import Labelled, Suite
from inyeon_models.text_safety_fit import Ints, decide

Bools = NDArray[np.bool_]
Points = Mapping[str, float]

DECIDE = "hate.decide"
HATE_MASK = "hate.mask"
HATE_ESCALATE = "hate.escalate"
HARM_MASK = "harm.mask"
BINS = 10


def harm(probabilities: Exact) -> Exact:
    """Hate or offensive, (n,)."""
    return np.asarray(1.0 - probabilities[:, NEITHER])


def f1_scores(truth: Ints, said: Ints, classes: int = len(CLASSES)) -> Exact:
    """(classes,); 0 for a class that is neither there nor said."""
    right = np.asarray([((truth == k) & (said == k)).sum() for k in range(classes)], float)
    there = np.bincount(truth, minlength=classes) + np.bincount(said, minlength=classes)
    return np.asarray(2 * right / np.maximum(there, 1))


def ranking(scores: Exact, positive: Bools) -> float:
    """Area under the ROC curve: chance that a positive scores above a negative; ties count half."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    ones, zeros = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def calibration_error(probabilities: Exact, labels: Ints) -> float:
    """Expected calibration error of the likeliest class, BINS bins of equal width."""
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    places = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = [
        abs(float(sure[places == k].mean()) - float(right[places == k].mean()))
        * float((places == k).mean())
        for k in np.unique(places)
    ]
    return sum(gaps)


def of_labelled(probabilities: Exact, texts: Labelled, points: Points) -> dict[str, Any]:
    """Figures on texts with three classes."""
    scores = f1_scores(texts.labels, decide(probabilities, points[DECIDE]))
    hateful = texts.labels == HATE
    harmful = texts.labels != NEITHER
    return {
        "texts": len(texts),
        "by_class": dict(
            zip(CLASSES, np.bincount(texts.labels, minlength=3).tolist(), strict=True)
        ),
        "macro_f1": _round(scores.mean()),
        "f1": {name: _round(score) for name, score in zip(CLASSES, scores, strict=True)},
        "auc_hate": _round(ranking(probabilities[:, HATE], hateful)),
        "auc_harm": _round(ranking(harm(probabilities), harmful)),
        "calibration_error": _round(calibration_error(probabilities, texts.labels)),
        "points": {
            HATE_MASK: _at(probabilities[:, HATE] >= points[HATE_MASK], hateful),
            HATE_ESCALATE: _at(probabilities[:, HATE] >= points[HATE_ESCALATE], hateful),
            HARM_MASK: _at(harm(probabilities) >= points[HARM_MASK], harmful),
        },
    }


def of_suite(probabilities: Exact, suite: Suite, points: Points) -> dict[str, Any]:
    """Figures on HateCheck: macro-F1, and the share that is right of each functionality and, among
    hateful cases, of each group of people."""
    said = decide(probabilities, points[DECIDE]) == HATE
    scores = f1_scores(suite.hateful.astype(int), said.astype(int), 2)
    right = said == suite.hateful
    return {
        "cases": len(suite.texts),
        "macro_f1": _round(scores.mean()),
        "f1": {"not hateful": _round(scores[0]), "hateful": _round(scores[1])},
        "accuracy": _round(right.mean()),
        "auc": _round(ranking(probabilities[:, HATE], suite.hateful)),
        "by_functionality": _shares(right, suite.functionality),
        "hateful_found_by_target": _shares(
            said[suite.hateful], [t for t, h in zip(suite.target, suite.hateful, strict=True) if h]
        ),
    }


def of_flagged(probabilities: Exact, points: Points) -> dict[str, Any]:
    """Shares of texts, all of one kind, that each operating point flags."""
    hate, any_harm = probabilities[:, HATE], harm(probabilities)
    return {
        "texts": len(probabilities),
        "likelier harmful": _round((any_harm >= 0.5).mean()),
        HATE_MASK: _round((hate >= points[HATE_MASK]).mean()),
        HARM_MASK: _round((any_harm >= points[HARM_MASK]).mean()),
    }


def _at(flagged: Bools, positive: Bools) -> dict[str, float]:
    both = float((flagged & positive).sum())
    return {
        "precision": _round(both / max(1, int(flagged.sum()))),
        "recall": _round(both / max(1, int(positive.sum()))),
        "false_positive_rate": _round((flagged & ~positive).sum() / max(1, int((~positive).sum()))),
    }


def _shares(right: Bools, kinds: Sequence[str]) -> dict[str, dict[str, float]]:
    names = np.asarray(kinds)
    return {
        str(name): {
            "cases": int((names == name).sum()),
            "share": _round(right[names == name].mean()),
        }
        for name in sorted(set(kinds))
    }


def _round(value: Any) -> float:
    return round(float(value), 3)
