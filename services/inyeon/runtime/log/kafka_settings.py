"""How our clients of Kafka are set, in one place: every default of the library that is unsafe is
named here, with the arithmetic of every time-out."""

from __future__ import annotations

import re
import ssl
import zlib
from typing import Any

from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

from inyeon.runtime.log.kafka_sockets import DIRECT
from inyeon.runtime.settings import RuntimeSettings

Options = dict[str, Any]
"""Keyword arguments of a client; the library publishes no types."""

# A request that a broker has not answered in 5 s is lost: a loaded one answers in 0.3 s, and a
# stopped one must be noticed well within the 60 s that a recovery may take.
REQUEST_S = 5.0
# A start waits for a broker that starts beside it: 6 to 9 s after a kill.
BOOTSTRAP_S = 10.0
# The library waits up to 30 s between attempts; then two outages of 14 s cost 50 s.
RECONNECT_MAX_S = 0.5
# Three lost requests: a broker that comes back within 15 s is nobody's error.
DELIVERY_S = 15.0
# Waiting for a topic's leaders or for room in the buffer, before delivery begins.
MAX_BLOCK_S = 5.0
# 5 to be sent and 15 to be delivered, plus 5 to queue behind another batch that waits for room.
PUBLISH_S = 25.0
# Records of one turn of the loop go together. 0 costs a request for each, above 5 shows in p99.
LINGER_MS = 1
BATCH_BYTES = 128 * 1024
# A member that says nothing for 6 s is dead, the least of brokers. Matching resumes within 10 s of
# its owner's death, and the next one gets no verdicts before the group has given the dead one up.
# Three heartbeats may be lost before two thirds of it.
SESSION_S = 6.0
# How late a member learns that the group is sharing out anew.
HEARTBEAT_S = 1.0
# The thread polls at least once a second, whatever the application does; 60 misses are a hang.
POLL_INTERVAL_S = 60.0
# How long the broker holds a fetch that finds nothing. Costs no latency: the first record ends it.
FETCH_WAIT_S = 1.0
# Bounds what waits in the client: a fetch of every partition, and the one read ahead.
FETCH_BYTES = 8 * 1024 * 1024
PARTITION_FETCH_BYTES = 1024 * 1024

_ILLEGAL = re.compile(r"[^A-Za-z0-9._-]")
_INSTANCE_LIMIT = 249


def client_options(settings: RuntimeSettings) -> Options:
    """What every client needs: where the brokers are, how to prove who we are, how long to wait."""
    options: Options = {
        "bootstrap_servers": list(settings.kafka_servers),
        "client_id": legal_id(settings.replica),
        "request_timeout_ms": int(REQUEST_S * 1e3),
        "bootstrap_timeout_ms": int(BOOTSTRAP_S * 1e3),
        "reconnect_backoff_max_ms": int(RECONNECT_MAX_S * 1e3),
        "proxy_url": DIRECT,
    }
    return options | _security(settings)


def producer_options(settings: RuntimeSettings) -> Options:
    """All acknowledgements, idempotence said aloud (the library drops it silently otherwise)."""
    return client_options(settings) | {
        "acks": "all",
        "enable_idempotence": True,
        "max_in_flight_requests_per_connection": 5,
        "delivery_timeout_ms": int(DELIVERY_S * 1e3),
        "max_block_ms": int(MAX_BLOCK_S * 1e3),
        "linger_ms": LINGER_MS,
        "batch_size": BATCH_BYTES,
        "metrics_enabled": False,
    }


def reader_options(settings: RuntimeSettings) -> Options:
    """A consumer outside of groups: from the start, only what is committed."""
    return client_options(settings) | {
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        "fetch_max_wait_ms": int(FETCH_WAIT_S * 1e3),
        "fetch_max_bytes": FETCH_BYTES,
        "max_partition_fetch_bytes": PARTITION_FETCH_BYTES,
        "metrics_enabled": False,
    }


def member_options(settings: RuntimeSettings, group: str, seat: int, name: str = "") -> Options:
    """A static member of a group, who moves no partition without need. `seat` tells the members of
    one group in one process apart; with a `name` there is one in all processes."""
    return reader_options(settings) | {
        "group_id": group,
        "group_instance_id": legal_id(name) if name else instance_id(settings.replica, group, seat),
        "partition_assignment_strategy": [CooperativeStickyAssignor],
        "session_timeout_ms": int(SESSION_S * 1e3),
        "heartbeat_interval_ms": int(HEARTBEAT_S * 1e3),
        "max_poll_interval_ms": int(POLL_INTERVAL_S * 1e3),
    }


def instance_id(replica: str, group: str, seat: int) -> str:
    """Name of a static member, the same after a restart of the replica."""
    return legal_id(f"{replica}.{group}.{seat}")


def legal_id(text: str) -> str:
    """At most 249 of `A-Za-z0-9._-`; what had to be changed is told apart by a checksum."""
    legal = _ILLEGAL.sub("_", text)
    if legal == text and len(legal) <= _INSTANCE_LIMIT:
        return legal
    return f"{legal[: _INSTANCE_LIMIT - 9]}-{zlib.crc32(text.encode()):08x}"


def _security(settings: RuntimeSettings) -> Options:
    if settings.kafka_security == "plaintext":
        return {"security_protocol": "PLAINTEXT"}
    ca = None if settings.kafka_ca is None else str(settings.kafka_ca)
    trusted: Options = {"ssl_context": ssl.create_default_context(cafile=ca)}
    if settings.kafka_security == "ssl":
        return trusted | {"security_protocol": "SSL"}
    return trusted | {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": settings.kafka_username,
        "sasl_plain_password": settings.kafka_password.get_secret_value(),
    }
