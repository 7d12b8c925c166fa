"""Real engines under a run, each behind a fault proxy: Kafka, PostgreSQL, and where asked Triton.

Processes under test only know the proxies; the driver looks at the engines directly.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from inyeon_chaos.evidence import LogRecord
from inyeon_chaos.proxy import FaultProxy
from inyeon_chaos.reading import read_kafka
from inyeon_stack import KafkaCluster, Postgres, Triton


class StackEngines:
    """Running engines and what can be done to them. Build it with `stack_engines`."""

    def __init__(
        self,
        kafka: KafkaCluster,
        postgres: Postgres,
        brokers: Sequence[FaultProxy],
        database: FaultProxy,
        prefix: str,
        triton: Triton | None = None,
    ) -> None:
        self.kafka = kafka
        self.postgres = postgres
        self.to_brokers = brokers
        """One proxy a node."""
        self.to_database = database
        self.triton = triton
        self._prefix = prefix

    @property
    def environment(self) -> Mapping[str, str]:
        servers = [f"127.0.0.1:{proxy.port}" for proxy in self.to_brokers]
        return {
            "INYEON_KAFKA_SERVERS": json.dumps(servers),
            "INYEON_KAFKA_REPLICATION": str(self.kafka.replication),
            "INYEON_DATABASE_URL": self.postgres.url(f"{self._prefix}_{{service}}").replace(
                f":{self.postgres.port}/", f":{self.to_database.port}/"
            ),
        }

    def database_name(self, service: str) -> str:
        """The service's database."""
        return f"{self._prefix}_{service}"

    def database(self, service: str) -> str:
        return self.postgres.url(self.database_name(service))

    async def records(self, topics: Sequence[str]) -> list[LogRecord]:
        return await read_kafka(self.kafka.servers, topics)

    async def restart_broker(
        self, number: int = 0, *, hard: bool = True, down_s: float = 0
    ) -> None:
        """SIGKILL, or an orderly stop, of one node; after `down_s` it comes back."""
        node = self.kafka.nodes[number]
        await asyncio.to_thread(node.kill if hard else node.stop)
        await asyncio.sleep(down_s)
        await asyncio.to_thread(node.start)

    async def lose(self, number: int) -> None:
        """SIGKILL of one node, which stays away."""
        await asyncio.to_thread(self.kafka.nodes[number].kill)

    async def restore(self, number: int) -> None:
        """The node comes back."""
        await asyncio.to_thread(self.kafka.nodes[number].start)

    async def pause_broker(self, seconds: float, number: int = 0) -> None:
        """SIGSTOP of one node for a while."""
        node = self.kafka.nodes[number]
        node.pause()
        try:
            await asyncio.sleep(seconds)
        finally:
            node.resume()

    async def kill_database(self) -> None:
        """SIGKILL of the server and its backends, and its way back."""
        await asyncio.to_thread(self.postgres.kill)
        await asyncio.to_thread(self.postgres.start)

    async def cut_connections(self, service: str) -> int:
        """Ends every connection to a service's database; how many there were."""
        name = self.database_name(service)
        return await asyncio.to_thread(self.postgres.cut_connections, name)

    async def bad_network(
        self, seconds: float, *, delay_s: float = 0.0, silent: bool = False
    ) -> None:
        """For a while everything to brokers and database is late, swallowed, or (neither) cut."""
        proxies = [*self.to_brokers, self.to_database]
        for proxy in proxies:
            if silent:
                proxy.blackhole()
            elif delay_s:
                proxy.delay(delay_s)
            else:
                proxy.cut()
        await asyncio.sleep(seconds)
        for proxy in proxies:
            proxy.heal()


@asynccontextmanager
async def stack_engines(
    folder: Path,
    services: Sequence[str],
    *,
    nodes: int = 1,
    prefix: str = "chaos",
    repository: Path | None = None,
) -> AsyncIterator[StackEngines]:
    """Engines with empty data and a database for each service; Triton where a model repository is
    given. Raises EngineMissing, EngineFailed. `folder`: everybody may enter it, for PostgreSQL is
    nobody's root."""
    async with AsyncExitStack() as stack:
        kafka = KafkaCluster(folder / "kafka", nodes)
        brokers = []
        for node in kafka.nodes:
            proxy = await stack.enter_async_context(FaultProxy(("127.0.0.1", node.port)))
            node.advertised_port = proxy.port
            brokers.append(proxy)
        stack.push_async_callback(asyncio.to_thread, kafka.kill)
        await asyncio.to_thread(kafka.start)
        postgres = Postgres(folder / "postgres")
        stack.push_async_callback(asyncio.to_thread, postgres.stop)
        await asyncio.to_thread(postgres.start)
        database = await stack.enter_async_context(FaultProxy(("127.0.0.1", postgres.port)))
        triton = None if repository is None else Triton(folder / "triton", repository)
        if triton is not None:
            stack.push_async_callback(asyncio.to_thread, triton.stop)
            await asyncio.to_thread(triton.start)
        run = f"{prefix}{int(time.time())}"
        made = StackEngines(kafka, postgres, brokers, database, run, triton)
        for service in services:
            await asyncio.to_thread(postgres.create, made.database_name(service))
        yield made
