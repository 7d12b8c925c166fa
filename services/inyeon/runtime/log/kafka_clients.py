"""Makes clients of the library, and cleans up after one that could not be made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kafka.net.compat import KafkaNetClient

from inyeon.runtime.log.kafka_settings import Options


def make_client(kind: Callable[..., Any], options: Options) -> Any:
    """A producer, consumer or admin client. Raises KafkaError when no broker answers; the library
    would then leave sockets, and of a consumer a thread, behind at every attempt."""
    nets: list[KafkaNetClient] = []

    def net(**config: Any) -> KafkaNetClient:
        nets.append(KafkaNetClient(**config))
        return nets[-1]

    try:
        return kind(**options, kafka_client=net)
    except BaseException:
        for each in nets:
            each.close()
        raise
