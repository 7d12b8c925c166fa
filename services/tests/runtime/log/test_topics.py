"""The table of topics is the one of ARCHITECTURE.md."""

from __future__ import annotations

from datetime import timedelta

import pytest

from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.topics import STATE_TOPICS, TOPICS, all_specs, dlq_of, dlq_spec

pytestmark = pytest.mark.unit


def test_names_every_topic_once() -> None:
    names = [spec.name for spec in TOPICS]
    assert len(names) == len(set(names)) == 15


def test_a_topic_is_either_state_or_ends() -> None:
    for spec in TOPICS:
        assert spec.compacted == (spec.retention is None), spec.name
    assert {"moderation.verdicts", "social.edges", "policies.published"} <= STATE_TOPICS
    assert "matching.tickets" not in STATE_TOPICS


def test_what_concerns_a_person_is_gone_within_the_erasures_fourteen_days() -> None:
    assert all(s.compacted or (s.retention or timedelta.max) <= timedelta(14) for s in all_specs())


def test_every_topic_has_dead_letters() -> None:
    names = {spec.name for spec in all_specs()}
    assert {dlq_of(spec.name) for spec in TOPICS} <= names
    assert len(names) == 2 * len(TOPICS)
    assert dlq_spec("t").name == "t.dlq"


async def test_all_of_them_can_be_created_and_created_again() -> None:
    log = MemoryLog()
    for _ in range(2):
        await log.create_topics(all_specs())
    await log.close()
