"""From public data to aggregates: nothing that is written here is about one person.

Sources (facts/README of the data folder): CollegeMsg (messages of one campus, 194 days), OkCupid
profiles (San Francisco; marginals only), Columbia speed dating waves 1 to 11.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.simulation.calibration import FORMAT
from inyeon.matching.simulation.leaving import leaving

BIN_S = 600
SESSION_GAP_S = 1800
"""Half an hour without a message ends somebody's session."""
TALK_GAP_S = 600
"""Ten minutes without a message end a conversation."""
CAMPUS_OFFSET_S = -7 * 3600
"""Local time of the campus in the season when most messages were sent (UTC-7)."""
BUSY_DAYS = 36
"""Half of all messages lie in the first 36 days; later days are too thin to tell bursts from
chance.
"""
FEWEST_PEOPLE = 50
"""A language that fewer people name is left out, so that no share speaks of a few."""
DIGITS = 4
LEVELS = {"poorly": "2", "okay": "3", "fluently": "4"}
"""Words of the profiles as levels of the contract."""
TAGS = {
    "spanish": "es",
    "french": "fr",
    "german": "de",
    "japanese": "ja",
    "chinese": "zh",
    "italian": "it",
    "russian": "ru",
    "portuguese": "pt",
    "hebrew": "he",
    "hindi": "hi",
    "tagalog": "tl",
    "arabic": "ar",
    "korean": "ko",
    "vietnamese": "vi",
    "greek": "el",
    "dutch": "nl",
    "swedish": "sv",
    "farsi": "fa",
    "polish": "pl",
    "turkish": "tr",
    "thai": "th",
    "indonesian": "id",
    "ukrainian": "uk",
    "danish": "da",
    "norwegian": "no",
    "czech": "cs",
    "hungarian": "hu",
}
"""Names that the profiles use. Not among them on purpose: `c++`, `lisp` and other programming
languages, `other`, sign language, and English, which every profile lists because the form did.
"""

Facts = dict[str, object]


def calibrate(folder: Path) -> Facts:
    """Aggregates of the data under `folder` (the `reciprocal` one). Raises OSError where a file is
    missing.
    """
    messages = np.loadtxt(folder / "CollegeMsg.txt", np.int64, skiprows=1)
    messages = messages[np.argsort(messages[:, 2], kind="stable")]
    profiles = list(_profiles(folder / "okcupid" / "profiles_revised.csv.zip"))
    starts, partners = sessions_of(messages)
    return {
        "format": FORMAT,
        "about": "Aggregates only. Sources: CollegeMsg, OkCupid profiles, speed dating waves 1-11.",
        "arrivals": _arrivals(starts),
        "sessions": {
            "gap_s": SESSION_GAP_S,
            "partners_mean": round(float(partners.mean()), DIGITS),
        },
        "leaving": leaving(_early(messages), DIGITS),
        "reciprocity": _reciprocity(messages),
        "conversations": _talks(messages),
        "mutual": _mutual(folder / "speed_dating_waves_1_11.csv"),
        "people": _people(profiles),
    }


def sessions_of(messages: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """From (n, 3) source, target, time: start of each session and its number of partners."""
    sent: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for source, target, at in messages.tolist():
        sent[source].append((at, target))
    found = [one for own in sent.values() for one in _cut(own, SESSION_GAP_S)]
    starts = np.array([run[0][0] for run in found], np.int64)
    return starts, np.array([len({target for _, target in run}) for run in found], np.int64)


def _cut(events: list[tuple[int, int]], gap_s: int) -> Iterator[list[tuple[int, int]]]:
    run = [events[0]]
    for event in events[1:]:
        if event[0] - run[-1][0] > gap_s:
            yield run
            run = []
        run.append(event)
    yield run


def _early(messages: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of the busy days alone, as arrivals are."""
    early: NDArray[np.bool_] = messages[:, 2] < messages[:, 2].min() + BUSY_DAYS * 86_400
    return messages[early]


def _arrivals(starts: NDArray[np.int64]) -> Facts:
    local = starts + CAMPUS_OFFSET_S
    local = local[local < local.min() + BUSY_DAYS * 86_400]
    hours = np.bincount(local % 86_400 // 3600, minlength=24)
    share = hours / hours.sum()
    return {
        "bin_s": BIN_S,
        "burst_shape": round(_burst_shape(local, share), DIGITS),
        "hour_share": [round(float(one), 5) for one in share],
    }


def _burst_shape(local: NDArray[np.int64], share: NDArray[np.float64]) -> float:
    """Method of moments for counts that are Poisson with a gamma rate: var = m + m^2 / k."""
    days = local // 86_400 - local.min() // 86_400
    bins = 86_400 // BIN_S
    place = days * bins + local % 86_400 // BIN_S
    counts = np.bincount(place, minlength=int(days.max() + 1) * bins).reshape(-1, bins)
    expected = (
        counts.sum(axis=1, keepdims=True) * np.repeat(share, bins // 24)[None, :] / (bins // 24)
    )
    excess = float(((counts - expected) ** 2 - expected).sum())
    return float((expected**2).sum()) / max(excess, 1e-9)


def _reciprocity(messages: NDArray[np.int64]) -> Facts:
    pairs = {(source, target) for source, target, _ in messages.tolist()}
    back = sum((target, source) in pairs for source, target in pairs)
    return {"directed_pairs": len(pairs), "share": round(back / len(pairs), DIGITS)}


def _talks(messages: NDArray[np.int64]) -> Facts:
    between: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for source, target, at in messages.tolist():
        between[min(source, target), max(source, target)].append((at, source))
    runs = [run for events in between.values() for run in _cut(events, TALK_GAP_S)]
    both = [run for run in runs if len({source for _, source in run}) > 1]
    lengths = np.log([max(run[-1][0] - run[0][0], 1) for run in both])
    return {
        "gap_s": TALK_GAP_S,
        "both_sided": len(both),
        "log_mean": round(float(lengths.mean()), DIGITS),
        "log_sd": round(float(lengths.std()), DIGITS),
    }


def _mutual(path: Path) -> Facts:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = [(row["dec"], row["match"]) for row in csv.DictReader(file)]
    return {
        "meetings": len(rows) // 2,
        "share": round(sum(match == "1" for _, match in rows) / len(rows), DIGITS),
        "directed_yes": round(sum(own == "1" for own, _ in rows) / len(rows), DIGITS),
    }


def _profiles(path: Path) -> Iterator[dict[str, str]]:
    with zipfile.ZipFile(path) as folder:
        name = next(one for one in folder.namelist() if one.endswith("profiles_revised.csv"))
        with folder.open(name) as file:
            yield from csv.DictReader(io.TextIOWrapper(file, encoding="utf-8"))


def _people(profiles: list[dict[str, str]]) -> Facts:
    spoken = [dict(read_speaks(one["speaks"])) for one in profiles if one["speaks"].strip()]
    tags = Counter(tag for one in spoken for tag in one)
    sexes = {"female": "f", "male": "m"}
    return {
        "profiles": len(profiles),
        "female": round(sum(one["sex"] == "f" for one in profiles) / len(profiles), DIGITS),
        "orientation": {
            name: _shares(one["orientation"] for one in profiles if one["sex"] == sex)
            for name, sex in sexes.items()
        },
        "decades": _shares(_decade(int(one["age"])) for one in profiles),
        "more_languages": _more([len(one) for one in spoken]),
        "second_languages": _shares(
            tag for one in spoken for tag in one if tags[tag] >= FEWEST_PEOPLE
        ),
        "levels": _shares(level for one in spoken for level in one.values() if level),
    }


def read_speaks(speaks: str) -> Iterator[tuple[str, str]]:
    """Tags beside English with their level ("" where none is said) from a `speaks` entry."""
    for part in speaks.lower().split(","):
        found = re.fullmatch(r"([^()]+?)\s*(?:\((\w+)\))?", part.strip())
        if found and found[1] in TAGS:
            yield TAGS[found[1]], LEVELS.get(found[2] or "", "")


def _decade(age: int) -> str:
    # Ages are noised up to 117: the last class is open.
    return f"{min(age // 10 * 10, 60)}+" if age >= 60 else f"{age // 10 * 10}s"


def _more(counts: list[int], most: int = 4) -> list[float]:
    found = np.bincount(np.minimum(counts, most), minlength=most + 1)
    return [round(float(one), DIGITS) for one in found / found.sum()]


def _shares(values: Iterable[str]) -> dict[str, float]:
    counts = Counter(values)
    total = sum(counts.values())
    return {name: round(count / total, 5) for name, count in sorted(counts.items())}
