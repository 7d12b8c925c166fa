"""What a record must be, how large it may be, and which partition it goes to.

The partition is Kafka's default one: murmur2 of the UTF-8 bytes of the partition key (seed
0x9747b28c), sign bit cleared, modulo the number of partitions. So the embedded log and Kafka agree,
and a topic can be moved between them. Source: Apache Kafka,
`org.apache.kafka.common.utils.Utils.murmur2` and `BuiltInPartitioner`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from inyeon.runtime.errors import InvalidRecord, RecordTooLarge
from inyeon.runtime.log.port import NewRecord, TopicSpec

# The ingest limit of a message: nothing larger can have come from a device.
RECORD_LIMIT_BYTES = 256 * 1024
DLQ_SUFFIX = ".dlq"
# A record of full size still fits into its dead letters with the reason and its origin in headers.
DLQ_EXTRA_BYTES = 4 * 1024
KEY_LIMIT_BYTES = 1024

_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2, unsigned, in [0, 2**32)."""
    length = len(data)
    h = _SEED ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _MULTIPLIER & _MASK
        k = (k ^ (k >> 24)) * _MULTIPLIER & _MASK
        h = (h * _MULTIPLIER & _MASK) ^ k
    if whole < length:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _MASK
    h = (h ^ (h >> 13)) * _MULTIPLIER & _MASK
    return h ^ (h >> 15)


@lru_cache(maxsize=16_384)
def partition_of(key: str, partitions: int) -> int:
    """Partition of a key, in [0, partitions)."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def check_record(record: NewRecord, spec: TopicSpec) -> None:
    """Raises InvalidRecord (with the field) or RecordTooLarge."""
    key_bytes = _utf8_bytes(record.key, "key")
    if key_bytes == 0:
        raise InvalidRecord("a record needs a key", field="key")
    if key_bytes > KEY_LIMIT_BYTES:
        raise InvalidRecord(f"key has {key_bytes} bytes, limit {KEY_LIMIT_BYTES}", field="key")
    if record.partition_key is not None:
        _utf8_bytes(record.partition_key, "partition_key")
    if record.value is None and not spec.compacted:
        message = f"a tombstone has no meaning in {spec.name}, which is not compacted"
        raise InvalidRecord(message, field="value")
    size = key_bytes + len(record.value or b"") + _headers_bytes(record.headers)
    limit = RECORD_LIMIT_BYTES + (DLQ_EXTRA_BYTES if spec.name.endswith(DLQ_SUFFIX) else 0)
    if size > limit:
        message = f"record for {spec.name} has {size} bytes, limit {limit}"
        raise RecordTooLarge(message, field="value")


def partition_for(record: NewRecord, spec: TopicSpec) -> int:
    """Partition that a checked record goes to."""
    key = record.key if record.partition_key is None else record.partition_key
    return partition_of(key, spec.partitions)


def _headers_bytes(headers: Mapping[str, str]) -> int:
    return sum(
        _utf8_bytes(name, "headers") + _utf8_bytes(text, "headers")
        for name, text in headers.items()
    )


def _utf8_bytes(text: str, field: str) -> int:
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidRecord(f"{field} cannot be written as UTF-8: {error}", field=field) from error
