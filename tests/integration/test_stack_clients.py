"""Clients that we did not write speak to our engines and services: kcat, grpcurl and
grpc-health-probe."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_health.v1 import health_pb2
from prometheus_client import CollectorRegistry
from tritonclient.grpc import model_config_pb2, service_pb2

from inyeon.cli.ports import free_ports
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.log.envelope import new_event
from inyeon.runtime.log.kafka import KafkaLog
from inyeon.runtime.log.port import TopicSpec
from inyeon.runtime.log.topics import TICKETS, TOPICS
from inyeon.runtime.settings import RuntimeSettings
from inyeon_protos.events.v1.events_pb2 import OutboxWatermark
from inyeon_stack import KafkaCluster, Postgres, Triton

pytestmark = pytest.mark.integration

Find = Callable[[str], Path]
CLIENT_S = 30.0  # each ends in under a second; kcat waits 10 s for a leader
SERVED_S = 60.0  # `serve` is ready in 3 s; many times that on a busy machine
HEALTH = "grpc.health.v1.Health"
PROBE_SAYS_NOTHING_LISTENS = 2


@dataclass(frozen=True)
class Said:
    """What a client left."""

    code: int
    out: bytes
    err: str


async def say(program: Path, *arguments: str) -> Said:
    process = await asyncio.create_subprocess_exec(
        *(str(program), *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), CLIENT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Said(process.returncode or 0, out, err.decode(errors="replace"))


async def says(program: Path, *arguments: str) -> bytes:
    said = await say(program, *arguments)
    assert said.code == 0, said.err
    return said.out


@pytest.mark.engine("kafka")
async def test_kcat_sees_our_topics_and_reads_an_event_with_its_headers(
    kafka: KafkaCluster, foreign_client: Find
) -> None:
    kcat, topic = foreign_client("kcat"), f"t-{uuid.uuid4().hex}"
    event = new_event(
        topic, "kim", OutboxWatermark(partition=3), occurred_at=datetime.now(UTC), version=7
    )
    log = await KafkaLog.open(_settings(kafka), SystemClock(), CollectorRegistry())
    try:
        await log.create_topics([TopicSpec(topic, 3)])
        (position,) = await log.publish([event])
    finally:
        await log.close()
    assert len(await _partitions(kcat, kafka, topic)) == 3
    read = ["-C", "-e", "-q", "-t", topic, "-o", "beginning", "-f"]
    read.append(r"%k\n%p\n%o\n%S\n%h\n%s")
    key, partition, offset, size, headers, value = (
        await says(kcat, "-b", kafka.servers[0], *read)
    ).split(b"\n", 5)
    assert (key, int(partition), int(offset)) == (b"kim", position.partition, position.offset)
    assert dict(pair.split("=", 1) for pair in headers.decode().split(",")) == event.headers
    assert (int(size), value) == (len(value), event.value)
    assert OutboxWatermark.FromString(value).partition == 3


@pytest.mark.engine("kafka")
@pytest.mark.engine("postgresql")
async def test_a_service_on_the_engines_answers_strangers(
    kafka: KafkaCluster, postgres: Postgres, foreign_client: Find, tmp_path: Path
) -> None:
    grpcurl, probe = foreign_client("grpcurl"), foreign_client("grpc-health-probe")
    kcat = foreign_client("kcat")
    async with _serving_matching(kafka, postgres, tmp_path, probe) as address:
        listed = (await says(grpcurl, "-plaintext", address, "list")).decode().split()
        assert {HEALTH, "inyeon.matching.v1.MatchingService"} <= set(listed)
        assert await _health(grpcurl, address) == {"status": "SERVING"}
        one = json.dumps({"service": "inyeon.matching.v1.MatchingService"})
        assert await _health(grpcurl, address, "-d", one) == {"status": "SERVING"}
        unknown = await say(grpcurl, *_check(address, "-d", '{"service": "nobody"}'))
        assert unknown.code != 0
        assert "NotFound" in unknown.err
        wanted = next(spec.partitions for spec in TOPICS if spec.name == TICKETS)
        assert len(await _partitions(kcat, kafka, TICKETS)) == wanted
    gone = await say(probe, "-addr", address)
    assert gone.code == PROBE_SAYS_NOTHING_LISTENS


@pytest.mark.engine("triton")
async def test_triton_answers_strangers(
    triton: Triton, foreign_client: Find, tmp_path: Path
) -> None:
    grpcurl, probe = foreign_client("grpcurl"), foreign_client("grpc-health-probe")
    assert (await say(probe, "-addr", triton.grpc)).code == 0
    # It has no reflection: the descriptors come from us.
    health = _protoset(tmp_path / "health", [health_pb2])
    assert await _health(grpcurl, triton.grpc, "-protoset", health) == {"status": "SERVING"}
    own = _protoset(tmp_path / "triton", [model_config_pb2, service_pb2])
    asked = ["-plaintext", "-protoset", own, triton.grpc]
    answer = await says(grpcurl, *asked, "inference.GRPCInferenceService/ServerReady")
    assert json.loads(answer) == {"ready": True}


def _check(address: str, *options: str) -> list[str]:
    return ["-plaintext", *options, address, f"{HEALTH}/Check"]


async def _health(grpcurl: Path, address: str, *options: str) -> Any:
    return json.loads(await says(grpcurl, *_check(address, *options)))


async def _partitions(kcat: Path, kafka: KafkaCluster, topic: str) -> list[Any]:
    metadata = json.loads(await says(kcat, "-b", kafka.servers[0], "-L", "-J", "-t", topic))
    (found,) = (one for one in metadata["topics"] if one["topic"] == topic)
    return list(found["partitions"])


def _protoset(path: Path, modules: Sequence[Any]) -> str:
    """A file of descriptors, as protoc would make it."""
    files = FileDescriptorSet()
    for module in modules:
        module.DESCRIPTOR.CopyToProto(files.file.add())
    path.write_bytes(files.SerializeToString())
    return str(path)


def _settings(kafka: KafkaCluster) -> RuntimeSettings:
    return RuntimeSettings(kafka_servers=kafka.servers, replica=uuid.uuid4().hex)


@asynccontextmanager
async def _serving_matching(
    kafka: KafkaCluster, postgres: Postgres, folder: Path, probe: Path
) -> AsyncIterator[str]:
    """`inyeon serve matching` in a process of its own, once the probe calls it healthy."""
    prefix, (grpc, internal, http) = f"t{uuid.uuid4().hex}", free_ports(3)
    await asyncio.to_thread(postgres.create, f"{prefix}_matching")
    environment = {
        "INYEON_KAFKA_SERVERS": json.dumps(kafka.servers),
        "INYEON_DATABASE_URL": postgres.url(prefix + "_{service}"),
        "INYEON_DATA_DIR": str(folder / "data"),
        "INYEON_REPLICA": prefix,
        "INYEON_GRPC_PORT": str(grpc),
        "INYEON_INTERNAL_PORT": str(internal),
        "INYEON_HTTP_PORT": str(http),
    }
    log = folder / "matching.log"
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "inyeon", "serve", "matching"),
            stdout=file,
            stderr=file,
            env={**os.environ, **environment},
        )
    try:
        await _until_healthy(probe, f"127.0.0.1:{grpc}", process, log)
        yield f"127.0.0.1:{grpc}"
        process.terminate()
        assert await asyncio.wait_for(process.wait(), SERVED_S) == 0, _tail(log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _until_healthy(
    probe: Path, address: str, process: asyncio.subprocess.Process, log: Path
) -> None:
    async with asyncio.timeout(SERVED_S):
        while (await say(probe, "-addr", address)).code:
            assert process.returncode is None, _tail(log)


def _tail(log: Path) -> str:
    return log.read_text()[-4000:]
