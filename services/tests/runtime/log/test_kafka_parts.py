"""Commits, errors, metrics, topics and blocking calls of the log on Kafka."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta

import pytest
from kafka import TopicPartition, errors
from prometheus_client import CollectorRegistry

from inyeon.runtime.errors import LogUnavailable, RecordTooLarge, UnknownTopic
from inyeon.runtime.log.kafka_blocking import blocking
from inyeon.runtime.log.kafka_commits import Commits
from inyeon.runtime.log.kafka_errors import port_error
from inyeon.runtime.log.kafka_metrics import KafkaMetrics, group_label
from inyeon.runtime.log.kafka_topics import spec_from, topic_config
from inyeon.runtime.log.port import TopicSpec
from inyeon.runtime.log.topics import all_specs

pytestmark = pytest.mark.unit

A, B = TopicPartition("t", 0), TopicPartition("t", 1)


def test_what_was_asked_is_open_until_it_is_answered() -> None:
    commits = Commits()
    commits.ask({A: 5, B: 3})
    assert commits.unanswered({A: 5, B: 3}) == {A: 5, B: 3}
    commits.answer({A: 5})
    assert commits.unanswered({A: 5, B: 3}) == {B: 3}
    assert commits.open_of({A, B}) == {B: 3}
    assert commits.open_of({A}) == {}


def test_a_commit_never_goes_back() -> None:
    commits = Commits()
    commits.ask({A: 9})
    commits.ask({A: 4})
    assert commits.open_of({A}) == {A: 9}
    commits.answer({A: 9})
    commits.answer({A: 4})
    assert commits.unanswered({A: 6}) == {}


def test_a_partition_that_comes_anew_has_no_past() -> None:
    commits = Commits()
    commits.ask({A: 9})
    commits.answer({A: 9})
    commits.forget({A})
    assert commits.unanswered({A: 2}) == {A: 2}
    assert commits.open_of({A}) == {}
    assert Commits.offsets({A: 2})[A].offset == 2


@pytest.mark.parametrize(
    ("raised", "wanted"),
    [
        (errors.MessageSizeTooLargeError("x"), RecordTooLarge),
        (errors.UnknownTopicOrPartitionError("x"), UnknownTopic),
        (errors.KafkaTimeoutError("x"), LogUnavailable),
        (errors.TopicAuthorizationFailedError("x"), LogUnavailable),
        (TimeoutError(), LogUnavailable),
    ],
)
def test_errors_in_the_words_of_the_port(raised: Exception, wanted: type[Exception]) -> None:
    error = port_error(raised, "not acknowledged")
    assert type(error) is wanted
    assert type(raised).__name__ in str(error)


def test_the_lag_of_several_readers_is_summed() -> None:
    registry = CollectorRegistry()
    metrics = KafkaMetrics(registry)

    def lag(topic: str) -> float | None:
        return registry.get_sample_value("inyeon_log_lag", {"group": "pool-main", "topic": topic})

    metrics.behind("pool-main-1", 1, {"a": 3, "b": 1})
    metrics.behind("pool-main-2", 2, {"a": 4})
    metrics.behind("other", 3, {"a": 100})
    assert (lag("a"), lag("b")) == (7, 1)
    metrics.behind("pool-main-1", 1, {"b": 2})
    assert (lag("a"), lag("b")) == (4, 2)
    metrics.behind("pool-main-1", 1, {})
    metrics.behind("pool-main-2", 2, {})
    assert (lag("a"), lag("b")) == (None, None)


def test_an_epoch_is_no_label() -> None:
    assert group_label("matching-pool-main-17") == "matching-pool-main"
    assert group_label("matching") == "matching"


def test_every_topic_of_ours_survives_the_way_to_the_broker_and_back() -> None:
    for spec in all_specs():
        assert spec_from(spec.name, spec.partitions, topic_config(spec, 1)) == spec


def test_a_topic_that_is_compacted_and_kept_for_a_time() -> None:
    spec = TopicSpec("t", 2, timedelta(days=1), compacted=True)
    config = topic_config(spec, 3)
    assert config["cleanup.policy"] == "compact,delete"
    assert spec_from("t", 2, config) == spec
    assert spec_from("t", 2, topic_config(TopicSpec("t", 2), 1)) == TopicSpec("t", 2)


def test_two_of_three_replicas_must_have_a_record() -> None:
    assert topic_config(TopicSpec("t"), 3)["min.insync.replicas"] == "2"
    assert topic_config(TopicSpec("t"), 1)["min.insync.replicas"] == "1"


def test_what_is_kept_ten_minutes_is_gone_soon_after() -> None:
    config = topic_config(TopicSpec("t", retention=timedelta(minutes=10)), 1)
    assert int(config["segment.ms"]) <= int(config["retention.ms"]) / 4


def test_what_is_erased_from_a_compacted_topic_is_gone_within_days() -> None:
    config = topic_config(TopicSpec("t", compacted=True), 1)
    kept = ("max.compaction.lag.ms", "delete.retention.ms", "segment.ms")
    assert sum(int(config[key]) for key in kept) <= timedelta(days=14) / timedelta(milliseconds=1)


async def test_a_blocking_call_answers() -> None:
    assert await blocking("adding", lambda: 1 + 1, 10) == 2
    with pytest.raises(ValueError, match="no"):
        await blocking("failing", lambda: int("no"), 10)


async def test_a_call_that_hangs_is_left_behind() -> None:
    release = threading.Event()
    started_s = time.monotonic()
    with pytest.raises(LogUnavailable, match="hanging"):
        await blocking("hanging", lambda: release.wait(30), 0.05)
    assert time.monotonic() - started_s < 10
    release.set()
    await asyncio.sleep(0)
