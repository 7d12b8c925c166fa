"""Reads the labelled texts that the text-safety head is trained and measured on.

Nothing of them is ever committed. HateCheck is a test suite: it is read for measuring only. Formats
and licences: the table in the card, models/cards/text-safety-head.md.
"""

from __future__ import annotations

import csv
import hashlib
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inyeon_models.errors import SourceError
from inyeon_models.text_safety import CLASSES, HATE, NEITHER, OFFENSIVE, Exact, clean

Ints = NDArray[np.int64]

TWEETS = "text/t-davidson/labeled_data.csv"
HATECHECK = "text/hatecheck/test_suite_cases.csv"
KOREAN = "text/korean-hate-speech/train.tsv"
LISTS = "text/ldnoobw"
EVERYDAY = "translation/tatoeba-dev"

# Languages of the encoder, by the three letters that Tatoeba uses.
COVERED = {
    "ara": "ar", "deu": "de", "eng": "en", "spa": "es", "fra": "fr", "ita": "it", "jpn": "ja",
    "kor": "ko", "nld": "nl", "pol": "pl", "por": "pt", "rus": "ru", "tha": "th", "tur": "tr",
    "zho": "zh",
}  # fmt: skip

_RETWEET = re.compile(r"\bRT\b")
_NOT_A_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Labelled:
    """Texts with a class each, (n,); `targets` (n, 3) are shares of annotators' votes; texts of one
    `group` (n,) are the same but for retweets, names, links and marks."""

    texts: tuple[str, ...]
    labels: Ints
    targets: Exact
    groups: Ints

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class Suite:
    """HateCheck: texts, whether each is hateful (n,), what it tests and whom it is about."""

    texts: tuple[str, ...]
    hateful: NDArray[np.bool_]
    functionality: tuple[str, ...]
    target: tuple[str, ...]


def read_tweets(data: Path) -> Labelled:
    """t-davidson, each text once: the first of its group stays. Raises SourceError."""
    texts, labels, votes, groups = [], [], [], []
    seen: set[int] = set()
    for row in _rows(data / TWEETS):
        text = _RETWEET.sub(" ", html.unescape(html.unescape(row["tweet"])))
        group = group_of(text)
        if group in seen or not clean(text):
            continue
        seen.add(group)
        counted = (row["hate_speech"], row["offensive_language"], row["neither"])
        texts.append(text)
        labels.append(int(row["class"]))
        votes.append([int(count) for count in counted])
        groups.append(group)
    shares = np.asarray(votes, dtype=np.float64)
    shares /= shares.sum(axis=1, keepdims=True)
    return Labelled(tuple(texts), np.asarray(labels), shares, np.asarray(groups))


def read_korean(data: Path) -> Labelled:
    """Korean comments. Raises SourceError."""
    names = {"hate": HATE, "offensive": OFFENSIVE, "none": NEITHER}
    rows = list(_rows(data / KOREAN, tabs=True))
    texts = tuple(row["comments"] for row in rows)
    labels = np.asarray([names[row["hate"]] for row in rows])
    targets = np.eye(len(CLASSES))[labels]
    return Labelled(texts, labels, targets, np.asarray([group_of(text) for text in texts]))


def read_hatecheck(data: Path) -> Suite:
    """The test suite. Raises SourceError."""
    rows = list(_rows(data / HATECHECK))
    return Suite(
        tuple(row["test_case"].strip() for row in rows),
        np.asarray([row["label_gold"] == "hateful" for row in rows]),
        tuple(row["functionality"] for row in rows),
        tuple(row["target_ident"] for row in rows),
    )


def read_everyday(data: Path) -> dict[str, tuple[str, ...]]:
    """Ordinary sentences of each covered language, sorted. Raises SourceError for none at all."""
    found: dict[str, set[str]] = {}
    for path in sorted((data / EVERYDAY).glob("*-*.*")):
        language = COVERED.get(path.suffix[1:])
        if language is not None:
            lines = path.read_text("utf-8").splitlines()
            found.setdefault(language, set()).update(line for line in lines if clean(line))
    if not found:
        raise SourceError(f"{data / EVERYDAY}: no sentences")
    return {language: tuple(sorted(found[language])) for language in sorted(found)}


def read_lists(data: Path) -> dict[str, tuple[str, ...]]:
    """Word lists by language; single words without context, for measuring transfer only."""
    languages = sorted(set(COVERED.values()))
    paths = [(language, data / LISTS / language) for language in languages]
    return {
        language: tuple(line for line in path.read_text("utf-8").splitlines() if clean(line))
        for language, path in paths
        if path.is_file()
    }


def group_of(text: str) -> int:
    """A number that texts share which differ in names, links, case and marks only."""
    words = _NOT_A_WORD.sub(" ", clean(text)).strip()
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:7], "big")


def _rows(path: Path, *, tabs: bool = False) -> Iterator[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            if tabs:  # where a quotation mark is only a mark
                yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            else:
                yield from csv.DictReader(file)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
