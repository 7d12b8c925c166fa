"""A length model out of a log: joined, judged on what came later, written only where it helps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from inyeon.cli.app import app
from inyeon.matching.adapters import events
from inyeon.matching.adapters.frames import ProtoFrames
from inyeon.matching.adapters.length_files import read_lengths
from inyeon.matching.adapters.length_log import READ_FROM, LengthLog
from inyeon.matching.app.ports import Proposal, WaveOrder
from inyeon.matching.app.recording import EPOCH_BITS, Asked, Recorder
from inyeon.matching.domain.lengths import CAP_S
from inyeon.matching.domain.matches import EndReason, LiveMatch, Side
from inyeon.matching.domain.scoring import SCORE_VERSION, Patience
from inyeon.matching.domain.waves import WaveRules, decide
from inyeon.matching.workload import synthetic_pool
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.log.embedded import EmbeddedLog
from inyeon.runtime.log.port import NewRecord, Record
from inyeon.runtime.log.topics import TOPICS

pytestmark = pytest.mark.integration

AT = datetime(2026, 1, 1, tzinfo=UTC)
RULES = WaveRules(Patience(start=0.0))
WAVES = 16

Length = Callable[[float], float]


@cache
def evening(how: Callable[[], Length], reason: EndReason = EndReason.LEFT) -> tuple[NewRecord, ...]:
    """Waves of 60 people, and how long each pair talked by the cosine of their interests."""
    recorder, written, length_of = Recorder(ProtoFrames()), list[NewRecord](), how()
    for wave in range(1, WAVES + 1):
        at = AT + timedelta(minutes=wave)
        snapshot = synthetic_pool(60, wave).snapshot(1.0)
        asked = Asked(snapshot, 1.0, RULES, seed=wave)
        decided = decide(snapshot, RULES, wave)
        described = recorder.describe(asked, decided, 1 << EPOCH_BITS | wave)
        recorder.settle(written=True)
        proposals = []
        for number, pair in enumerate(decided.pairs):
            one, other = (snapshot.tickets[place] for place in (pair.one, pair.other))
            sides = Side(one.user_id, (), "", 0.0), Side(other.user_id, (), "", 0.0)
            match = LiveMatch(f"m-{wave}-{number}", "main", *sides, at, ())
            tickets = one.ticket_id, other.ticket_id
            proposals.append(Proposal(match, tickets, (pair.one, pair.other), pair.score))
            alike = float(one.wish.interests.direction @ other.wish.interests.direction)
            over = at + timedelta(seconds=length_of(alike))
            written.append(events.match_live(match, 1))
            written.append(events.outcome(match, one.user_id, reason, one.user_id, over))
        ids = tuple(ticket.ticket_id for ticket in snapshot.tickets)
        order = WaveOrder("main", 1, wave, at, ids, tuple(proposals), SCORE_VERSION, described)
        stand = frozenset(proposal.match.match_id for proposal in proposals)
        written += events.wave_decided(order, stand)
    return tuple(written)


def by_interests() -> Length:
    draw = np.random.default_rng(1)
    return lambda alike: float(CAP_S * np.clip(alike + draw.normal(0.0, 0.1), 0.01, 1.0))


def by_chance() -> Length:
    draw = np.random.default_rng(2)
    return lambda _: float(CAP_S * draw.uniform())


def read(written: Sequence[NewRecord]) -> LengthLog:
    log = LengthLog()
    for number, one in enumerate(written):
        log.take(Record(one.topic, 0, number, one.key, one.value, one.headers, AT))
    return log


def test_what_waves_knew_is_joined_with_what_came_of_it() -> None:
    rows, share = read(evening(by_interests)).conversations()
    assert len(rows) > 300 and rows.shape[1] == 6
    assert np.corrcoef(rows[:, 0], share)[0, 1] > 0.5
    assert set(np.unique(rows[:, 3])) == {0.5}, "nobody's recent conversations were known"


def test_ends_that_say_nothing_are_left_out_and_reports_count_nothing() -> None:
    rows, _ = read(evening(by_chance, EndReason.LOST)).conversations()
    assert len(rows) == 0
    _, share = read(evening(by_chance, EndReason.REPORTED)).conversations()
    assert len(share) > 300 and not share.any()


def test_garbage_and_waves_without_their_base_are_counted() -> None:
    written = evening(by_chance)
    decided = [one for one in written if one.topic == READ_FROM[0]]
    lost = [one for one in written if one is not decided[3]]
    log = read([replace(written[0], value=b"\xff"), *lost])
    assert log.unreadable > 1
    rows, _ = log.conversations()
    assert 0 < len(rows) < len(read(written).conversations()[0])


def folder_of(path: Path, written: Sequence[NewRecord]) -> Path:
    async def fill() -> None:
        log = await EmbeddedLog.open(path / "log.db", SystemClock())
        await log.create_topics([spec for spec in TOPICS if spec.name in READ_FROM])
        await log.publish(written)
        await log.close()

    path.mkdir()
    asyncio.run(fill())
    return path


def learned(folder: Path, out: Path, *more: str) -> Any:
    arguments = ["matching", "lengths", "--data-dir", str(folder), "--out", str(out), *more]
    return CliRunner().invoke(app, arguments)


def test_the_command_writes_a_model_that_the_service_reads(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "log", evening(by_interests)), tmp_path / "lengths.json"
    told = learned(folder, out, "--json")
    assert told.exit_code == 0, told.output
    facts = json.loads(told.stdout)
    assert facts["ours"] < 0.5 * facts["constant"] and abs(facts["slope"] - 1.0) < 0.3
    model = read_lengths(out)
    assert model is not None and model.weights[0] > max(map(abs, model.weights[1:]))


def test_what_is_no_better_than_a_constant_is_not_written(tmp_path: Path) -> None:
    out = tmp_path / "lengths.json"
    told = learned(folder_of(tmp_path / "log", evening(by_chance)), out)
    assert told.exit_code == 1 and "NOT_BETTER" in told.stderr and "constant" in told.stdout
    assert not out.exists()


def test_too_few_conversations_and_no_log_at_all(tmp_path: Path) -> None:
    out = tmp_path / "lengths.json"
    told = learned(folder_of(tmp_path / "log", evening(by_chance)[:50]), out)
    assert told.exit_code == 2 and "TOO_FEW" in told.stderr
    assert learned(tmp_path, out).exit_code == 2
    good = folder_of(tmp_path / "good", evening(by_interests))
    told = learned(good, tmp_path / "nowhere" / "lengths.json")
    assert told.exit_code == 2 and "FILE_UNWRITABLE" in told.stderr
