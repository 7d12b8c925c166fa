"""The three engines, really started: what tests and the stack build on."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import asyncpg
import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from inyeon_stack import EngineFailed, KafkaCluster, PortTaken, Postgres

pytestmark = pytest.mark.integration
# The last one: the server's last words have come, the end of its stream has not.
LOST = (
    *(asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError),
    *(asyncpg.AdminShutdownError, asyncpg.InternalClientError),
)


@pytest.mark.engine("kafka")
def test_a_record_is_read_back_after_a_kill(engine_folder: Path) -> None:
    cluster = KafkaCluster(engine_folder / uuid.uuid4().hex)
    cluster.start()
    try:
        topic = _new_topic(cluster)
        _produce(cluster, topic, b"before")
        first = cluster.nodes[0].pid
        cluster.nodes[0].kill()
        assert cluster.nodes[0].pid is None
        cluster.nodes[0].start()
        assert cluster.nodes[0].pid not in (None, first)
        assert _values(cluster, topic) == [b"before"]
    finally:
        cluster.kill()


@pytest.mark.engine("kafka")
def test_starting_twice_is_harmless(kafka: KafkaCluster) -> None:
    before = kafka.nodes[0].pid
    kafka.start()
    kafka.nodes[0].start()
    assert kafka.nodes[0].pid == before is not None


@pytest.mark.engine("kafka")
def test_a_taken_port_is_named(kafka: KafkaCluster, engine_folder: Path) -> None:
    port = kafka.nodes[0].port
    with pytest.raises(PortTaken, match=str(port)):
        KafkaCluster(engine_folder / uuid.uuid4().hex, ports=[port]).start()


def _new_topic(cluster: KafkaCluster) -> str:
    topic = uuid.uuid4().hex
    admin = KafkaAdminClient(bootstrap_servers=list(cluster.servers))
    admin.create_topics([NewTopic(topic, 1, cluster.replication)])
    admin.close()
    return topic


def _produce(cluster: KafkaCluster, topic: str, value: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=list(cluster.servers), acks="all")
    producer.send(topic, key=b"k", value=value).get(timeout=10)
    producer.close()


def _values(cluster: KafkaCluster, topic: str) -> list[bytes]:
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=list(cluster.servers),
        auto_offset_reset="earliest",
        consumer_timeout_ms=5000,
    )
    try:
        return [next(consumer).value]
    finally:
        consumer.close()


@pytest.mark.engine("postgresql")
async def test_committed_rows_survive_a_kill(engine_folder: Path) -> None:
    server = Postgres(engine_folder / uuid.uuid4().hex)
    await asyncio.to_thread(server.start)
    try:
        await asyncio.to_thread(server.create, "kept")
        await asyncio.to_thread(server.create, "kept")
        connection = await asyncpg.connect(server.url("kept"))
        await connection.execute("CREATE TABLE facts (fact text)")
        await connection.execute("INSERT INTO facts VALUES ('kept')")
        await asyncio.to_thread(server.kill)
        connection.terminate()
        await asyncio.to_thread(server.start)
        connection = await asyncpg.connect(server.url("kept"))
        assert await connection.fetchval("SELECT fact FROM facts") == "kept"
        await connection.close()
    finally:
        await asyncio.to_thread(server.kill)


@pytest.mark.engine("postgresql")
async def test_connections_are_cut(postgres: Postgres) -> None:
    database = f"t{uuid.uuid4().hex}"
    await asyncio.to_thread(postgres.create, database)
    connection = await asyncpg.connect(postgres.url(database))
    assert await asyncio.to_thread(postgres.cut_connections, database) == 1
    with pytest.raises(LOST):
        await connection.fetchval("SELECT 1")
    assert await asyncio.to_thread(postgres.cut_connections, database) == 0


@pytest.mark.engine("postgresql")
async def test_nobody_is_let_in_without_the_password(postgres: Postgres) -> None:
    stranger = f"postgresql://inyeon:wrong@127.0.0.1:{postgres.port}/postgres"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(stranger)


@pytest.mark.engine("postgresql")
def test_a_name_that_is_none_is_refused(postgres: Postgres) -> None:
    with pytest.raises(ValueError, match="name of a database"):
        postgres.create('x"; DROP DATABASE postgres; --')


@pytest.mark.engine("postgresql")
def test_a_server_that_cannot_start_shows_its_log(engine_folder: Path) -> None:
    folder = engine_folder / uuid.uuid4().hex
    server = Postgres(folder)
    server.start()
    server.stop()
    (folder / "data" / "global" / "pg_control").unlink()
    with pytest.raises(EngineFailed, match="pg_control"):
        server.start()
    assert server.pid is None
