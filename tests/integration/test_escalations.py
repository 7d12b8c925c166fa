"""The whole way of an escalation through a running platform: window, log, worker, opinion,
directive. Once on one machine's own log and files, once on Kafka and PostgreSQL.

The models are scripted: what they would say is chosen by the embedding. No picture is behind any
score or embedding here.
"""

from __future__ import annotations

import asyncio
import struct
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from inyeon.runtime.log.envelope import decode, is_type, new_event
from inyeon.runtime.log.port import NewRecord
from inyeon.runtime.log.topics import ESCALATIONS, MATCHES, OPINIONS, VERDICTS
from inyeon_protos.common.v1 import vector_pb2
from inyeon_protos.events.v1.events_pb2 import (
    EscalationRaised,
    MatchLive,
    OpinionGiven,
    OutboxWatermark,
)
from inyeon_protos.moderation.v1 import safety_pb2
from tests.integration.escalation_scene import (
    MIXED,
    NEUTRAL,
    PORN,
    SPACE,
    WAIT_S,
    Platform,
    about,
    embedding,
    eventually,
    gauge,
    now,
    person,
    platform_on,
    settings_of,
)

pytestmark = pytest.mark.integration


@pytest.fixture(
    params=[
        "own",
        pytest.param(
            "engines", marks=[pytest.mark.engine("kafka"), pytest.mark.engine("postgresql")]
        ),
    ]
)
async def platform(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Platform]:
    engines: dict[str, Any] = {}
    if request.param == "engines":
        kafka, postgres = request.getfixturevalue("kafka"), request.getfixturevalue("postgres")
        name = f"esc_{uuid.uuid4().hex[:8]}_{{service}}"
        await asyncio.to_thread(postgres.create, name.format(service="moderation"))
        engines = {"kafka_servers": kafka.servers, "database_url": postgres.url(name)}
    async with platform_on(settings_of(tmp_path, **engines)) as made:
        yield made


async def test_a_certain_head_protects_at_once_and_a_case_waits(platform: Platform) -> None:
    user_id, partner_id = person(), person()
    match = MatchLive(match_id=person(), user_a=user_id, user_b=partner_id, version=1)
    event = new_event(MATCHES, match.match_id, match, occurred_at=datetime.now(UTC))
    await platform.ground.log.publish([event])
    async with platform.device(user_id) as device, platform.device(partner_id) as partner:
        await device.unsure(PORN)
        await device.until(lambda d: ("PROTECT", "HEAD_EXPLICIT") in d.told)
        await device.until(lambda d: d.verdict == "PROTECT")
        await partner.until(lambda d: ("PROTECT", "HEAD_EXPLICIT") in d.told)
        assert partner.verdict != "PROTECT"
    case = await platform.one_case(user_id)
    assert (case.reason, case.verdict) == ("HEAD_EXPLICIT", safety_pb2.VERDICT_PROTECT)
    [escalation] = await about(platform, ESCALATIONS, EscalationRaised, user_id)
    assert (escalation.reason, escalation.match_id) == ("PORN_UNSURE", match.match_id)
    [opinion] = await about(platform, OPINIONS, OpinionGiven, user_id)
    assert opinion.escalation_id == escalation.escalation_id
    assert opinion.session_id == device.session_id
    assert list(opinion.models) == ["scripted@1"]


async def test_a_head_that_sees_nothing_shortens_the_doubt(platform: Platform) -> None:
    user_id = person()
    async with platform.device(user_id) as device:
        await device.unsure(NEUTRAL)
        await device.until(lambda d: d.verdict == "UNSURE")
        async with asyncio.timeout(WAIT_S):
            while device.verdict != "CLEAR":
                await device.window([0.0, 0.0, 1.0, 0.0, 0.0], NEUTRAL)
                await asyncio.sleep(0.2)
    assert await platform.cases(user_id) == []
    [opinion] = await about(platform, OPINIONS, OpinionGiven, user_id)
    assert (opinion.verdict, opinion.reason) == (safety_pb2.VERDICT_CLEAR, "HEAD_QUIET")


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (MIXED, "PORN_UNSURE"),
        (None, "EMBEDDING_MISSING"),
        (embedding(), "EMBEDDING_RANGE"),
    ],
)
async def test_what_models_cannot_settle_waits_for_a_person(
    platform: Platform, seen: vector_pb2.Vector | None, reason: str
) -> None:
    user_id = person()
    async with platform.device(user_id) as device:
        await device.unsure(seen)
        assert (await platform.one_case(user_id)).reason == reason
        assert device.verdict == "UNSURE"
        assert device.told == []


async def test_without_models_the_device_stands_and_a_person_decides(platform: Platform) -> None:
    user_id = person()
    platform.models.away = True
    async with platform.device(user_id) as device:
        await device.unsure(PORN)
        assert (await platform.one_case(user_id)).reason == "MODELS_UNAVAILABLE"
        assert device.verdict == "UNSURE"
        assert device.told == []
    [opinion] = await about(platform, OPINIONS, OpinionGiven, user_id)
    assert opinion.degraded
    assert gauge(platform, "inyeon_moderation_models_degraded") == 1.0


async def test_a_confirmed_case_protects_the_next_one_within_seconds(platform: Platform) -> None:
    first, second, third = person(), person(), person()
    async with platform.device(first) as device:
        await device.unsure(MIXED)
        case = await platform.one_case(first)
        await platform.confirm(case.case_id)
    [entry] = await eventually(lambda: now(platform.models.entries))
    assert (entry.bank, entry.space) == ("nudity", SPACE)
    async with platform.device(second) as device:
        await device.unsure(MIXED)
        await device.until(lambda d: ("PROTECT", "BANK_MATCH") in d.told)
    async with platform.device(third) as device:
        await device.unsure(embedding(1, 2, 50, 100))
        assert (await platform.one_case(third)).reason == "PORN_UNSURE"


async def test_an_escalation_that_comes_again_has_one_effect(platform: Platform) -> None:
    user_id = person()
    async with platform.device(user_id) as device:
        await device.unsure(MIXED)
        await platform.one_case(user_id)
    reader = await platform.ground.log.read_all([ESCALATIONS])
    asked = platform.models.asked
    again = [
        NewRecord(record.topic, record.key, record.value, record.headers)
        for record in await reader.poll(1_000, 5.0)
        if record.key == device.session_id
    ]
    await reader.close()
    await platform.ground.log.publish([*again, *again])
    await eventually(lambda: now(platform.models.asked >= asked + 2))
    later = person()
    async with platform.device(later) as device:  # what comes behind it is done, so it is too
        await device.unsure(MIXED)
        await platform.one_case(later)
    assert len(await about(platform, OPINIONS, OpinionGiven, user_id)) == 1
    assert len(await platform.cases(user_id)) == 1


async def test_garbage_goes_aside_and_what_follows_is_judged(platform: Platform) -> None:
    garbage = [
        NewRecord(ESCALATIONS, person(), b"\xff\xfe", {"event_id": person(), "type": "x"}),
        _raised(user_id=""),
        _raised(key="another"),
        _raised(escalation_id="x" * 65),
    ]
    await platform.ground.log.publish(garbage)
    user_id = person()
    async with platform.device(user_id) as device:
        await device.unsure(PORN)
        await device.until(lambda d: ("PROTECT", "HEAD_EXPLICIT") in d.told)


@pytest.mark.parametrize(
    ("space", "data", "reason"),
    [
        (
            {"model": "other", "version": "9", "dims": 64},
            bytes([0, 0, 0, 63]) + b"\1" * 64,
            "EMBEDDING_SPACE",
        ),
        ({"model": "m", "version": "1", "dims": 64}, b"\1" * 12, "EMBEDDING_LENGTH"),
        ({"model": "", "version": "1", "dims": 64}, b"\1" * 68, "EMBEDDING_SPACE"),
        (
            {"model": "m", "version": "1", "dims": 64},
            struct.pack("<f", float("nan")) + b"\1" * 64,
            "EMBEDDING_RANGE",
        ),
    ],
)
async def test_a_bad_embedding_waits_for_a_person(
    platform: Platform, space: dict[str, Any], data: bytes, reason: str
) -> None:
    user_id = person()
    vector = vector_pb2.Vector(
        space=vector_pb2.EmbeddingSpace(encoding=vector_pb2.VECTOR_ENCODING_INT8_SCALED, **space),
        data=data,
    )
    await platform.ground.log.publish([_raised(user_id=user_id, embedding=vector)])
    assert (await platform.one_case(user_id)).reason == reason


async def test_every_partition_of_verdicts_is_marked_each_second(platform: Platform) -> None:
    began = datetime.now(UTC)
    reader = await platform.ground.log.read_all([VERDICTS])
    seen: dict[int, list[OutboxWatermark]] = {}
    try:
        async with asyncio.timeout(WAIT_S):
            while len(seen) < 12 or any(len(marks) < 2 for marks in seen.values()):
                for record in await reader.poll(1_000, 0.2):
                    if is_type(record, OutboxWatermark) and record.published_at > began:
                        mark = decode(record, OutboxWatermark)
                        assert (record.partition, record.key) == (
                            mark.partition,
                            f"watermark/{mark.partition}",
                        )
                        seen.setdefault(mark.partition, []).append(mark)
    finally:
        await reader.close()
    for marks in seen.values():
        versions = [mark.version for mark in marks]
        assert versions == sorted(set(versions))


def _raised(key: str = "", **given: Any) -> NewRecord:
    session_id = person()
    values = {
        "escalation_id": person(),
        "user_id": person(),
        "session_id": session_id,
        "reason": "SOME_UNSURE",
    } | given
    event = EscalationRaised(**values)
    event.raised_at.GetCurrentTime()
    return new_event(ESCALATIONS, key or session_id, event, occurred_at=datetime.now(UTC))
