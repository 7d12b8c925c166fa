"""Trains the text-safety head and measures it on what it never saw.

Fold 0 of the tweets is held out; operating points and calibration come from the other four, each
predicted by a model that did not see it. HateCheck, Korean and word lists are for measuring only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from inyeon_models import text_safety_data as data
from inyeon_models import text_safety_figures as figures
from inyeon_models.text_safety import (
    CANARIES,
    HATE,
    NEITHER,
    Exact,
    Float,
    TextHead,
    clean,
    softmax,
    to_npz,
)
from inyeon_models.text_safety_fit import Linear, calibrated, calibration, decide, fit

FOLDS = 5
HELD_OUT = 0
TRANSFER = (
    "ko"  # the language whose everyday sentences are held out too: its figures are transfer only
)
EVERYDAY_EACH = (
    200  # ordinary sentences of each language to learn from, and as many to measure with
)
MASK_PRECISION = 0.5  # of hate: every second masked line is hateful by its annotators
ESCALATE_PRECISION = 0.6  # a person's time is dearer than a tap
FALSE_ALARMS = 0.02  # of harm: share of harmless tweets that may be masked


class Encoder(Protocol):
    """Turns texts into (n, dims) float32 rows of length 1."""

    def encode(self, texts: Sequence[str]) -> Float: ...


Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Everything that is read, as texts."""

    tweets: data.Labelled
    korean: data.Labelled
    suite: data.Suite
    everyday: Mapping[str, tuple[str, ...]]
    lists: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Trained:
    """The head, its file, and its figures ready for JSON."""

    head: TextHead
    file: bytes
    figures: dict[str, Any]


def read_corpus(folder: Path, seed: int, limit: int | None = None) -> Corpus:
    """Reads the data folder; `limit` keeps that many texts of each set. Raises SourceError."""
    draw = np.random.default_rng(seed)
    each = EVERYDAY_EACH if limit is None else max(2, min(EVERYDAY_EACH, limit // 8))
    everyday = {
        language: tuple(texts[i] for i in draw.permutation(len(texts))[: 2 * each])
        for language, texts in data.read_everyday(folder).items()
    }
    korean, suite = data.read_korean(folder), data.read_hatecheck(folder)
    lists = {k: v[:limit] for k, v in data.read_lists(folder).items()}
    tweets = data.read_tweets(folder)
    if limit is not None:
        tweets, korean = (_sample(texts, draw, limit) for texts in (tweets, korean))
        suite = _some(suite, draw, limit)
    return Corpus(tweets, korean, suite, everyday, lists)


def train(
    encoder: Encoder, encoder_name: str, corpus: Corpus, told: Told = lambda _: None
) -> Trained:
    """The head that ships. The same but for its last digits; about 2 min on one core."""

    def encode(what: str, texts: tuple[str, ...]) -> Exact:
        told(f"{len(texts)} texts: {what}")
        return encoder.encode([clean(text) for text in texts]).astype(np.float64)

    tweets = corpus.tweets
    rows = encode("tweets", tweets.texts)
    everyday = {k: encode(f"everyday, {k}", v) for k, v in corpus.everyday.items()}
    harmless = [v[: len(v) // 2] for k, v in everyday.items() if k != TRANSFER]
    learner = _Learner(rows, tweets, np.concatenate(harmless), told)
    head = learner.head(encoder_name)
    measured = _measure(head, learner, encode, corpus, everyday)
    return Trained(head, to_npz(head, head.probabilities(_canary_rows(encoder))), measured)


class _Learner:
    """Folds of the tweets, with the same harmless sentences beside each."""

    def __init__(self, rows: Exact, tweets: data.Labelled, harmless: Exact, told: Told) -> None:
        self.rows, self.tweets, self._harmless, self._told = rows, tweets, harmless, told
        self.folds = tweets.groups % FOLDS

    def head(self, encoder_name: str) -> TextHead:
        """Calibrated on what each fold's model did not see, fitted on all folds but HELD_OUT."""
        learned = self.folds != HELD_OUT
        logits = self._out_of_fold()[learned]
        labels = self.tweets.labels[learned]
        scale, shift = calibration(logits, self.tweets.targets[learned])
        honest = softmax(logits * scale + shift)
        self._told("fitting the head")
        model = calibrated(self._fit(learned), scale, shift)
        weights, bias = model.weights.astype(np.float32), model.bias.astype(np.float32)
        return TextHead(weights, bias, encoder_name, choose_points(honest, labels))

    def _out_of_fold(self) -> Exact:
        logits = np.zeros((len(self.tweets), 3))
        for fold in range(1, FOLDS):
            self._told(f"fitting without fold {fold}")
            model = self._fit((self.folds != fold) & (self.folds != HELD_OUT))
            logits[self.folds == fold] = model.logits(self.rows[self.folds == fold])
        return logits

    def _fit(self, chosen: figures.Bools) -> Linear:
        rows = np.concatenate([self.rows[chosen], self._harmless])
        count = len(self._harmless)
        targets = np.concatenate([self.tweets.targets[chosen], np.eye(3)[[NEITHER] * count]])
        labels = np.concatenate([self.tweets.labels[chosen], np.full(count, NEITHER)])
        return fit(rows, targets, labels)


def choose_points(probabilities: Exact, labels: data.Ints) -> dict[str, float]:
    """Operating points on training folds: where macro-F1 is highest, where hate reaches a
    precision, where harm has few false alarms."""
    hate, grid = probabilities[:, HATE], np.linspace(0.02, 0.98, 97)
    macro = [figures.f1_scores(labels, decide(probabilities, t)).mean() for t in grid]
    harmless = np.sort(figures.harm(probabilities)[labels == NEITHER])
    place = min(len(harmless) - 1, int(np.ceil(len(harmless) * (1 - FALSE_ALARMS))))
    points = {
        figures.DECIDE: float(grid[int(np.argmax(macro))]),
        figures.HATE_MASK: _reaching(hate, labels == HATE, grid, MASK_PRECISION),
        figures.HATE_ESCALATE: _reaching(hate, labels == HATE, grid, ESCALATE_PRECISION),
        figures.HARM_MASK: float(harmless[place]),
    }
    return {name: round(value, 3) for name, value in points.items()}


def _reaching(scores: Exact, positive: figures.Bools, grid: Exact, precision: float) -> float:
    """The lowest threshold from which on the precision holds for every higher one that flags at
    least 20 texts; 1 where none does."""
    lowest = 1.0
    for threshold in grid[::-1]:
        flagged = scores >= threshold
        if flagged.sum() < 20:
            continue
        if positive[flagged].mean() < precision:
            break
        lowest = float(threshold)
    return lowest


def _measure(
    head: TextHead,
    learner: _Learner,
    encode: Callable[[str, tuple[str, ...]], Exact],
    corpus: Corpus,
    everyday: Mapping[str, Exact],
) -> dict[str, Any]:
    def said(what: str, texts: tuple[str, ...]) -> Exact:
        return head.probabilities(encode(what, texts).astype(np.float32))

    held = learner.folds == HELD_OUT
    tweets = _where(learner.tweets, held)
    seen = head.probabilities(learner.rows[held].astype(np.float32))
    unseen = {k: v[len(v) // 2 :].astype(np.float32) for k, v in everyday.items()}
    points = head.points
    return {
        "version": head.version,
        "encoder": head.encoder,
        "points": dict(points),
        "learned_from": {
            "tweets": int((~held).sum()),
            "everyday": int(sum(len(v) // 2 for k, v in everyday.items() if k != TRANSFER)),
        },
        "tweets": figures.of_labelled(seen, tweets, points),
        "hatecheck": figures.of_suite(said("HateCheck", corpus.suite.texts), corpus.suite, points),
        "korean": figures.of_labelled(
            said("Korean comments", corpus.korean.texts), corpus.korean, points
        ),
        "everyday": {
            k: figures.of_flagged(head.probabilities(v), points) for k, v in unseen.items()
        },
        "word_lists": {
            k: figures.of_flagged(said(f"word list, {k}", v), points)
            for k, v in corpus.lists.items()
            if v
        },
    }


def _canary_rows(encoder: Encoder) -> Float:
    return encoder.encode([clean(text) for text in CANARIES])


def _where(texts: data.Labelled, chosen: figures.Bools) -> data.Labelled:
    picked = tuple(text for text, keep in zip(texts.texts, chosen, strict=True) if keep)
    return data.Labelled(picked, texts.labels[chosen], texts.targets[chosen], texts.groups[chosen])


def _sample(texts: data.Labelled, draw: np.random.Generator, limit: int) -> data.Labelled:
    chosen = np.zeros(len(texts), dtype=bool)
    chosen[draw.permutation(len(texts))[:limit]] = True
    return _where(texts, chosen)


def _some(suite: data.Suite, draw: np.random.Generator, limit: int) -> data.Suite:
    places = sorted(draw.permutation(len(suite.texts))[:limit].tolist())
    return replace(
        suite,
        texts=tuple(suite.texts[i] for i in places),
        hateful=suite.hateful[places],
        functionality=tuple(suite.functionality[i] for i in places),
        target=tuple(suite.target[i] for i in places),
    )
