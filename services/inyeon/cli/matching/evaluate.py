"""What `inyeon matching evaluate` does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import typer
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

from inyeon.cli.matching.records import Source, records_of, refuse
from inyeon.matching.adapters.decisions import DecisionReader
from inyeon.matching.adapters.score_models import model_from, read_registry
from inyeon.matching.domain.evaluating import Estimate, EvaluationRefused
from inyeon.matching.domain.frames import BaseMissing, Rebuilder, inputs_digest
from inyeon.matching.domain.hindsight import Hindsight, WaveRows, hindsight, rows_of
from inyeon.matching.domain.replaying import Decision, engine_version
from inyeon.matching.domain.score_models import LINEAR_1, ScoreModel, ScoreModelRefused
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.runtime.log.envelope import decode, is_type
from inyeon.runtime.log.poison import PoisonRecord
from inyeon.runtime.log.port import Record
from inyeon.runtime.log.topics import DECISIONS, OUTCOMES
from inyeon_protos.events.v1 import events_pb2
from inyeon_protos.matching.v1 import matching_pb2

M = TypeVar("M", bound=Message)

CAP_S = 600.0
"""Longer conversations earn no more: one of two hours must not outweigh a hundred."""
THIN = 100.0
"""With fewer effective rows the intervals are too narrow to be trusted."""
REWARDS = ("long", "seconds", "unreported")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Arguments."""

    version: str
    source: Source
    scores: Path | None = None
    reward: str = "long"
    long_s: float = 60.0
    pool: str | None = None
    as_json: bool = False


@dataclass(slots=True)
class Found:
    """What the records hold."""

    candidate: ScoreModel
    rewards: dict[str, float]
    """By match that is over."""
    rows: list[WaveRows] = field(default_factory=list)
    """Of the waves that explored and can be judged."""
    left: Counter[str] = field(default_factory=Counter)
    """Waves and records that say nothing here, by why."""


def run_evaluate(wanted: Wanted) -> None:
    """Reads, estimates, prints; exits with REFUSED where the records cannot answer."""
    if wanted.reward not in REWARDS:
        refuse("REWARD_UNKNOWN", f"{wanted.reward!r} is none of {', '.join(REWARDS)}")
    found = look_back(records_of(wanted.source, [DECISIONS, OUTCOMES]), wanted)
    try:
        seen = hindsight(found.rows)
    except EvaluationRefused as refused:
        left = ", ".join(f"{count} {why}" for why, count in sorted(found.left.items()) if count)
        refuse(refused.reason, f"{refused}; waves that explored: {len(found.rows)}; others: {left}")
    if wanted.as_json:
        typer.echo(json.dumps(_facts(wanted, found, seen), sort_keys=True))
    else:
        _print(wanted, found, seen)


def look_back(records: Sequence[Record], wanted: Wanted) -> Found:
    """Waves that explored, done again wave by wave, and how their matches went."""
    mine = [one for one in records if one.topic == OUTCOMES or wanted.pool in (None, one.key)]
    found = Found(_candidate(wanted, mine), _rewards(mine, wanted))
    reader, pools = DecisionReader(), dict[str, Rebuilder]()
    for record in mine:
        if record.topic == DECISIONS:
            try:
                wave = reader.take(record)
            except PoisonRecord:
                found.left["unreadable"] += 1
                continue
            if wave is not None:
                _take(found, pools.setdefault(wave.pool, Rebuilder()), wave)
    found.left["inputs not recorded"] += reader.unrecorded
    found.left["before a key frame"] += reader.orphans
    return found


def _rewards(records: Iterable[Record], wanted: Wanted) -> dict[str, float]:
    outcomes = _all(records, events_pb2.MatchOutcome)
    return {one.match_id: reward_of(one, wanted) for one in outcomes}


def _all(records: Iterable[Record], kind: type[M]) -> Iterator[M]:
    for record in records:
        if is_type(record, kind):
            with suppress(PoisonRecord):
                yield decode(record, kind)


def reward_of(outcome: events_pb2.MatchOutcome, wanted: Wanted) -> float:
    """What a match earned: 1 for a conversation of `long_s` that nobody reported; or its seconds up
    to CAP_S; or 1 for one that nobody reported."""
    reported = outcome.reason == matching_pb2.END_REASON_REPORTED
    if wanted.reward == "seconds":
        return min(outcome.duration_s, CAP_S)
    if wanted.reward == "unreported":
        return float(not reported)
    return float(not reported and outcome.duration_s >= wanted.long_s)


def _take(found: Found, rebuilder: Rebuilder, wave: Decision) -> None:
    try:
        snapshot = rebuilder.take(wave.wave, wave.frame)
    except BaseMissing:
        found.left["before a key frame"] += 1
        return
    if why := _unfit(snapshot, wave):
        found.left[why] += 1
    else:
        found.rows.append(rows_of(snapshot, wave, found.rewards, found.candidate))


def _unfit(snapshot: Snapshot, wave: Decision) -> str:
    if wave.experiment:
        return "in an experiment"
    if not wave.shares or not wave.matches:
        return "did not explore"
    if not wave.chances and wave.engine != engine_version():
        return "other engine, no logged chances"
    return "" if inputs_digest(snapshot) == wave.inputs else "inputs differ"


def _candidate(wanted: Wanted, records: Iterable[Record]) -> ScoreModel:
    """From the file, else as it was explored last."""
    try:
        if wanted.scores is not None:
            return read_registry(wanted.scores).model(wanted.version)
        known = {LINEAR_1.version: LINEAR_1} | _explored(records)
    except ScoreModelRefused as refused:
        refuse(refused.reason, str(refused))
    model = known.get(wanted.version)
    if model is None:
        names = ", ".join(sorted(known))
        refuse("UNKNOWN_VERSION", f"{wanted.version!r} is none of {names}; or --registry FILE")
    return model


def _explored(records: Iterable[Record]) -> dict[str, ScoreModel]:
    texts = {one.score for wave in _all(records, events_pb2.WaveDecided) for one in wave.shares}
    models = (model_from(json.loads(text), "shares.score") for text in sorted(texts))
    return {model.version: model for model in models}


def _estimates(seen: Hindsight) -> dict[str, Estimate]:
    return {
        "as it was": seen.logged,
        "IPS": seen.ips,
        "SNIPS": seen.self_normalised,
        "DR": seen.doubly_robust,
        "DR, difference": seen.difference,
    }


def _facts(wanted: Wanted, found: Found, seen: Hindsight) -> dict[str, Any]:
    return {
        "candidate": found.candidate.version,
        "digest": found.candidate.digest,
        "reward": wanted.reward,
        "waves": len(found.rows),
        "pairs": seen.rows,
        "without_outcome": _open(found.rows),
        "left_out": {why: count for why, count in sorted(found.left.items()) if count},
        "estimates": {name: asdict(one) for name, one in _estimates(seen).items()},
    }


def _open(rows: Sequence[WaveRows]) -> int:
    return sum(wave.made - len(wave.reward) for wave in rows)


def _print(wanted: Wanted, found: Found, seen: Hindsight) -> None:
    console = Console()
    unit = {"long": f"conversations of {wanted.long_s:g} s", "seconds": "seconds"}
    reward = unit.get(wanted.reward, "not reported")
    title = f"{found.candidate.version}: {reward}, mean of a pair"
    table = Table("", "mean", "95 % from", "to", "effective pairs", "waves", title=title)
    for name, one in _estimates(seen).items():
        numbers = (f"{number:.4g}" for number in (one.value, one.low, one.high, one.effective))
        table.add_row(name, *numbers, str(one.waves))
    console.print(table)
    for note in _notes(found, seen):
        console.print(note, highlight=False)


def _notes(found: Found, seen: Hindsight) -> Iterator[str]:
    yield f"{seen.rows} pairs; {_open(found.rows)} more without an outcome"
    for why, count in sorted(found.left.items()):
        if count:
            yield f"left out: {count} waves, {why}"
    if seen.ips.effective < THIN:
        yield f"too thin: {seen.ips.effective:.0f} effective pairs, {THIN:.0f} are wanted"
