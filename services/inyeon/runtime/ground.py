"""The ground that the harness lays: what the services of one process share."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import grpc
import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import MetaData

from inyeon.runtime.clock import Clock, SystemClock
from inyeon.runtime.errors import Unavailable
from inyeon.runtime.identity.statements import StatementSigner, StatementVerifier
from inyeon.runtime.identity.tokens import TokenIssuer, TokenVerifier
from inyeon.runtime.keyring import Keyring
from inyeon.runtime.log.consuming_metrics import ConsumerMetrics
from inyeon.runtime.log.embedded import EmbeddedLog
from inyeon.runtime.log.kafka import KafkaLog
from inyeon.runtime.log.port import Log
from inyeon.runtime.log.topics import all_specs
from inyeon.runtime.peers import LocalPeers, Peers
from inyeon.runtime.peers_grpc import RemotePeers
from inyeon.runtime.service import BackgroundTask
from inyeon.runtime.settings import RuntimeSettings
from inyeon.runtime.store.outbox import OutboxRelay, RelayMetrics
from inyeon.runtime.store.port import Store
from inyeon.runtime.store.sql import SqlStore, open_service_store

MAINTAIN_EVERY_S = 60.0  # the shortest retention is 10 min: records outlive it by a tenth at most
# A replica that is back is asked again within a second. gRPC waits up to 120 s by default, and all
# that time people whose streams are there would not be told.
_PEERS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]

_log = structlog.get_logger(__name__)

Closer = Callable[[], Awaitable[None]]


class SharedGround:
    """Implements `Ground`. Build it with `open`; what it opened is in `closers`, in that order."""

    def __init__(
        self,
        settings: RuntimeSettings,
        log: Log,
        keyring: Keyring,
        clock: Clock,
        metrics: CollectorRegistry,
    ) -> None:
        self.clock = clock
        self.log = log
        self.metrics = metrics
        self.consumer_metrics = ConsumerMetrics(metrics)
        self.data_dir: Path = settings.data_dir
        self.replica = settings.replica
        self.development = settings.development
        self.tokens: TokenVerifier = keyring.token_verifier()
        self.local_peers: dict[str, LocalPeers] = {}
        self.tasks: list[BackgroundTask] = [BackgroundTask("log-maintenance", self._maintain)]
        self.closers: list[Closer] = [keyring.close, log.close]
        self._settings = settings
        self._keyring = keyring
        self._relay_metrics = RelayMetrics(self.metrics)
        addresses = dict.fromkeys(settings.peers)
        self._channels = {a: grpc.aio.insecure_channel(a, options=_PEERS) for a in addresses}
        self.closers.append(self._close_channels)

    @classmethod
    async def open(cls, settings: RuntimeSettings, clock: Clock | None = None) -> SharedGround:
        """Opens keys under `data_dir` and the log, there or on Kafka. Raises SettingsRefused,
        LogCorrupt, LogUnavailable, TopicMismatch."""
        clock, metrics = clock or SystemClock(), CollectorRegistry()
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        log = await open_log(settings, clock, metrics)
        try:
            await log.create_topics(all_specs())
            return cls(settings, log, Keyring(settings, clock), clock, metrics)
        except BaseException:
            await log.close()
            raise

    async def store(self, service: str, tables: MetaData) -> Store:
        """Opens the service's own database: `<data_dir>/<service>.db`, or on the server. Relays its
        outbox while the process runs, unless another process does (`relay`)."""
        store = await self._open_store(service, tables, self._settings.database_connections)
        if self._settings.relay:
            self._relay(store, service)
        return store

    async def relays(self, service: str, tables: MetaData) -> Sequence[OutboxRelay]:
        """Relays the outbox of a service that runs elsewhere, whatever `relay` says."""
        few = min(self._settings.database_connections, 1 + 2 * self._settings.outbox_shards)
        store = await self._open_store(service, tables, few)
        return self._relay(store, f"relay/{service}")

    async def _open_store(self, service: str, tables: MetaData, connections: int) -> SqlStore:
        url = self._settings.database_url.get_secret_value()
        store = await open_service_store(
            service, tables, self.data_dir, self.clock, database_url=url, connections=connections
        )
        self.closers.append(store.close)
        return store

    def _relay(self, store: SqlStore, name: str) -> Sequence[OutboxRelay]:
        # On a server two processes of one host may relay one store; a file has one at a time, which
        # takes its lease up again at once after a restart.
        unique = f"/{uuid.uuid4().hex[:8]}" if store.has_many_writers else ""
        count = self._settings.outbox_shards
        relays = [
            OutboxRelay(
                store,
                self.log,
                self.clock,
                owner=f"{self.replica}/{name}{unique}",
                metrics=self._relay_metrics,
                shard=shard,
                shards=count,
            )
            for shard in range(count)
        ]
        self.tasks += [BackgroundTask(f"{name}-outbox-{n}", r.run) for n, r in enumerate(relays)]
        return relays

    def peers(self, service: str) -> Peers:
        """The service's streams here and, where other replicas are named, there."""
        local = self.local_peers.setdefault(service, LocalPeers())
        if not self._channels:
            return local
        return RemotePeers(service, local, self._channels, self._keyring.internal_tokens().token)

    def signer(self, service: str) -> StatementSigner:
        """Signs with the service's key."""
        return self._keyring.signer(service)

    def verifier(self, service: str) -> StatementVerifier:
        """Believes the service's key."""
        return self._keyring.verifier(service)

    def token_issuer(self) -> TokenIssuer:
        """Development identity. Raises SettingsRefused outside development."""
        return self._keyring.token_issuer()

    def internal_verifier(self) -> TokenVerifier:
        """Believes the other replicas."""
        return self._keyring.internal_tokens().verifier()

    async def _maintain(self) -> None:
        while True:
            await self.clock.sleep(MAINTAIN_EVERY_S)
            try:
                await self.log.maintain()
            except Unavailable as error:  # the next round catches up; nothing depends on this one
                _log.warning("log.maintenance_put_off", reason=error.reason)

    async def _close_channels(self) -> None:
        for channel in self._channels.values():
            await channel.close()


async def open_log(settings: RuntimeSettings, clock: Clock, metrics: CollectorRegistry) -> Log:
    """The log that the settings name. Raises LogCorrupt, LogUnavailable, SettingsRefused."""
    if settings.kafka_servers:
        return await KafkaLog.open(settings, clock, metrics)
    return await EmbeddedLog.open(settings.data_dir / "log.db", clock)
