"""Topics as the table wants them, and members that leave."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from kafka import KafkaAdminClient, errors
from kafka.admin import ConfigResource, MemberToRemove

from inyeon.runtime.errors import LogUnavailable, UnknownTopic
from inyeon.runtime.log.kafka_blocking import blocking
from inyeon.runtime.log.kafka_clients import make_client
from inyeon.runtime.log.kafka_errors import port_error
from inyeon.runtime.log.kafka_settings import BOOTSTRAP_S, REQUEST_S, Options
from inyeon.runtime.log.kafka_topics import spec_from, topic_config
from inyeon.runtime.log.port import TopicSpec
from inyeon.runtime.log.upkeep import check_same_partitions

# Some 360 partitions are made at the first start, 2 ms each on a slow disk; and the connection.
CREATE_S = 30.0
CALL_S = BOOTSTRAP_S + 2 * REQUEST_S  # connect, find the coordinator, ask it
# The harness gives each closer 2 s; who cannot leave in time is missed after the session time-out.
LEAVE_S = 1.5

_EXISTS = errors.TopicAlreadyExistsError.errno
_UNKNOWN = errors.UnknownTopicOrPartitionError.errno

T = TypeVar("T")

_logger = logging.getLogger(__name__)


class Admin:
    """One client for the rare calls, opened by the first of them and again after a failure."""

    def __init__(self, options: Options, replication: int) -> None:
        self._options = options
        self._replication = replication
        self._client: Any = None
        self._guard = threading.Lock()  # of _client: one call at a time

    async def ensure(self, specs: Sequence[TopicSpec]) -> None:
        """Creates what is missing and brings what exists to the table. Several processes may do
        this at once. Raises TopicMismatch, LogUnavailable."""
        await self._call("creating topics", lambda client: self._ensure(client, specs), CREATE_S)

    async def describe(self, topic: str) -> TopicSpec:
        """A topic that somebody created. Raises UnknownTopic, LogUnavailable."""
        return await self._call(
            "describing a topic", lambda client: _existing(client, [topic])[topic][0], CALL_S
        )

    async def leave(self, group: str, instance: str, member: str) -> None:
        """Gives up the place of a static member, whom the library never lets leave. Not being able
        to, and a successor of the same name, cost nothing but the session time-out."""
        leaving = [MemberToRemove(member_id=member, group_instance_id=instance)]
        with suppress(LogUnavailable):
            await self._call(
                "leaving a group",
                lambda client: client.remove_group_members(group, leaving),
                LEAVE_S,
            )

    async def close(self) -> None:
        """Closes the client. Closing twice does nothing."""
        with suppress(LogUnavailable):
            await blocking("closing the admin client", self._drop, LEAVE_S)

    async def _call(self, what: str, call: Callable[[Any], T], timeout_s: float) -> T:
        def guarded() -> T:
            with self._guard:
                try:
                    return call(self._open())
                except errors.KafkaError as error:
                    self._close()
                    raise port_error(error, what) from error

        return await blocking(what, guarded, timeout_s)

    def _open(self) -> Any:
        if self._client is None:
            self._client = make_client(KafkaAdminClient, self._options)
        return self._client

    def _drop(self) -> None:
        with self._guard:
            self._close()

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _ensure(self, client: Any, specs: Sequence[TopicSpec]) -> None:
        created = self._create(client, specs)
        if created:
            client.wait_for_topics(created, timeout_ms=int(REQUEST_S * 1e3))
        old = [spec for spec in specs if spec.name not in created]
        existing = _existing(client, [spec.name for spec in old])
        for spec in old:
            check_same_partitions(existing[spec.name][0], spec)
        for spec in old:
            self._align(client, spec, existing[spec.name][1])

    def _create(self, client: Any, specs: Sequence[TopicSpec]) -> list[str]:
        """Names of the topics that were not there before."""
        wanted = {
            spec.name: {
                "num_partitions": spec.partitions,
                "replication_factor": self._replication,
                "configs": topic_config(spec, self._replication),
            }
            for spec in specs
        }
        answer = client.create_topics(wanted, raise_errors=False)
        for topic in answer["topics"]:
            if topic["error_code"] not in (0, _EXISTS):
                raise errors.for_code(topic["error_code"])(topic["error_message"])
        return [topic["name"] for topic in answer["topics"] if topic["error_code"] == 0]

    def _align(self, client: Any, spec: TopicSpec, found: Mapping[str, str]) -> None:
        wanted = topic_config(spec, self._replication)
        other = {key: value for key, value in wanted.items() if found.get(key) != value}
        if not other:
            return
        was = {key: found.get(key) for key in other}
        _logger.warning("%s is brought to the table: %s, was %s", spec.name, other, was)
        answer = client.alter_configs([ConfigResource("TOPIC", spec.name, other)])
        outcome = answer["topic"][spec.name]
        if outcome != "OK":
            raise errors.KafkaError(f"{spec.name} cannot be altered: {outcome}")


def _existing(client: Any, names: Sequence[str]) -> dict[str, tuple[TopicSpec, Mapping[str, str]]]:
    """What the broker has under these names, with its configuration. Raises UnknownTopic."""
    if not names:
        return {}
    keys = dict.fromkeys(topic_config(TopicSpec(""), 1))
    described = {topic["name"]: topic for topic in client.describe_topics(list(names))}
    asked = [ConfigResource("TOPIC", name, dict(keys)) for name in names]
    configs = client.describe_configs(asked, config_filter="all")["topic"]
    found: dict[str, tuple[TopicSpec, Mapping[str, str]]] = {}
    for name in names:
        topic = described.get(name, {"error_code": _UNKNOWN})
        if topic["error_code"] == _UNKNOWN:
            raise UnknownTopic(f"topic {name!r} was never created", field="topic")
        if topic["error_code"] != 0:
            raise errors.for_code(topic["error_code"])(name)
        config = {key: entry["value"] for key, entry in configs[name].items()}
        found[name] = spec_from(name, len(topic["partitions"]), config), config
    return found
