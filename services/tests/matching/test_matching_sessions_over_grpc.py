"""A whole service that learns from conversations: two people over gRPC, and a replay of it all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from inyeon.inference import session_recipe
from inyeon.matching.adapters.decisions import DecisionReader
from inyeon.matching.app import sessions
from inyeon.matching.domain.replaying import Decision, Fate, Replayer
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.port import NewRecord
from inyeon.runtime.log.topics import DECISIONS, VERDICTS
from inyeon_protos.matching.v1 import matching_pb2 as pb

pytestmark = pytest.mark.integration

MakeStage = Callable[..., Coroutine[Any, Any, Any]]
SHORT_S = 1e-4
"""Nobody in a test talks for three seconds."""


async def decisions(log: MemoryLog, count: int) -> list[Decision]:
    """The passes in the log, once there are so many."""
    reader, records = DecisionReader(), await log.read_all([DECISIONS])
    found: list[Decision] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            taken = [reader.take(record) for record in await records.poll(100, 0.1)]
            found += [one for one in taken if one is not None]
    await records.close()
    return found


async def meet(ana: Any, bob: Any, wish: Any) -> str:
    """Both seek and meet."""
    await ana.seek(wish("es", (9, 1, 1, 0)))
    await bob.seek(wish("es", (9, 0, 1, 1)))
    match_id = str((await ana.hear("matched")).match_id)
    await bob.hear("matched")
    return match_id


async def test_what_was_said_is_known_at_the_next_wave_and_replayed(
    stages: MakeStage, wish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "SHORT_S", SHORT_S)
    monkeypatch.setattr(session_recipe, "SHORT_S", SHORT_S)
    log = MemoryLog()
    stage = await stages(log, sessions=True, rematch_horizon_s=0, min_similarity=0.0)

    def said(name: str, **labels: str) -> float:
        found = stage.metrics.get_sample_value(f"inyeon_matching_session_{name}", labels)
        return float(found or 0.0)

    ana, bob = await stage.device("ana").open(), await stage.device("bob").open()
    for device in (ana, bob):
        device.keep_beating()
    match_id = await meet(ana, bob, wish)
    await ana.send(end_match=pb.EndMatch(match_id=match_id, reason=pb.END_REASON_LEFT))
    await ana.hear("match_over")
    await until(lambda: said("talks_total", fate="encoded") == 2.0)
    assert said("lag_seconds_count") == 2.0
    await meet(ana, bob, wish)
    assert said("staleness_seconds_count") == 2.0 and said("staleness_seconds_sum") == 0.0
    first, second = await decisions(log, 2)
    assert first.frame.recents == ()
    known = [recent for _, recent in second.frame.recents]
    assert len(known) == 2
    assert all(one is not None and one.space.model == "test" and one.step > 0 for one in known)
    replayer = Replayer()
    assert [replayer.take(one).fate for one in (first, second)] == [Fate.SAME, Fate.SAME]


async def test_who_is_erased_is_not_known_any_more(
    stages: MakeStage, wish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "SHORT_S", SHORT_S)
    monkeypatch.setattr(session_recipe, "SHORT_S", SHORT_S)
    stage = await stages(MemoryLog(), sessions=True, rematch_horizon_s=0, min_similarity=0.0)
    ana, bob = await stage.device("ana").open(), await stage.device("bob").open()
    for device in (ana, bob):
        device.keep_beating()
    match_id = await meet(ana, bob, wish)
    await ana.send(end_match=pb.EndMatch(match_id=match_id, reason=pb.END_REASON_LEFT))
    await until(lambda: vectors(stage) == 2.0)
    headers = {"schema_version": "1", "version": "99", "type": "inyeon.events.v1.VerdictRecorded"}
    await stage.log.publish([NewRecord(VERDICTS, "ana", None, headers)])
    await until(lambda: vectors(stage) == 1.0)


def vectors(stage: Any) -> float:
    """People with a session vector."""
    return float(stage.metrics.get_sample_value("inyeon_matching_session_vectors") or 0.0)


async def until(holds: Callable[[], bool]) -> None:
    """Within 5 s."""
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    assert holds()


async def test_it_is_off_unless_it_is_asked_for(stage: Any) -> None:
    assert stage.metrics.get_sample_value("inyeon_matching_session_vectors") is None
    assert "matching tastes" not in {task.name for task in stage.service.tasks}
