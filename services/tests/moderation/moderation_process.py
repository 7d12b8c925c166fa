"""The real service on a small ground: in this process for tests, or in its own (`python
moderation_process.py DIR`).

The ground is the smallest that is real: system clock, SQLite on disk, the memory log, Ed25519
identity by a key that is kept in the folder, and the product's own interceptor in front.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry
from sqlalchemy import MetaData

from inyeon.moderation.bootstrap import build
from inyeon.moderation.settings import ModerationSettings
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.identity.keysets import StaticKeys
from inyeon.runtime.identity.signing import Ed25519Signer, Ed25519Verifier
from inyeon.runtime.identity.tokens import TokenIssuer, TokenVerifier, audience_of
from inyeon.runtime.interceptors import Access, Gate
from inyeon.runtime.log.consuming_metrics import ConsumerMetrics
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.topics import all_specs
from inyeon.runtime.peers import LocalPeers
from inyeon.runtime.ratelimit import Rate, RateLimiter
from inyeon.runtime.service import Service
from inyeon.runtime.store.sql import SqlStore, open_service_store
from inyeon.runtime.telemetry import RpcMetrics


def key_of(folder: Path) -> Ed25519PrivateKey:
    """The key of tokens and passes, kept in the folder so that a test can issue tokens too."""
    path = folder / "test.key"
    if not path.exists():
        path.write_bytes(Ed25519PrivateKey.generate().private_bytes_raw())
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())


def issuer_of(folder: Path) -> TokenIssuer:
    return TokenIssuer(key_of(folder), SystemClock())


def token(folder: Path, subject: str, *roles: str, audience: str = "moderation") -> str:
    """A token of this folder's issuer."""
    return issuer_of(folder).issue(subject, audience_of(audience), roles=roles)


def short_token(folder: Path, subject: str, seconds: float) -> str:
    return issuer_of(folder).issue(
        subject, audience_of("moderation"), lifetime=timedelta(seconds=seconds)
    )


class SmallGround:
    """Ground for one service."""

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        self.log = MemoryLog(self.clock)
        self.metrics = CollectorRegistry()
        self.consumer_metrics = ConsumerMetrics(self.metrics)
        self.data_dir = folder
        self.replica = "test"
        self.development = True
        self.local_peers = LocalPeers()
        self.stores: list[SqlStore] = []
        key = key_of(folder)
        self._signer = Ed25519Signer(key)
        self._issuer = TokenIssuer(key, self.clock)
        self.tokens = TokenVerifier(StaticKeys(json.dumps(self._issuer.jwks())), self.clock)

    def token_issuer(self) -> TokenIssuer:
        return self._issuer

    async def store(self, service: str, tables: MetaData) -> SqlStore:
        self.stores.append(await open_service_store(service, tables, self.data_dir, self.clock))
        return self.stores[-1]

    def peers(self, service: str) -> LocalPeers:
        return self.local_peers

    def signer(self, service: str) -> Ed25519Signer:
        return self._signer

    def verifier(self, service: str) -> Ed25519Verifier:
        return Ed25519Verifier([self._signer.public_key])


@asynccontextmanager
async def serving(
    folder: Path, settings: ModerationSettings | None = None
) -> AsyncIterator[tuple[str, Service, SmallGround]]:
    """(address, service, ground) while the block runs."""
    ground = SmallGround(folder)
    await ground.log.create_topics(all_specs())
    service = await build(settings or ModerationSettings(), ground)
    limiter = RateLimiter(ground.clock)
    access = Access(
        audiences={name: audience_of(service.name) for name in service.grpc_names},
        streams=Rate(per_s=1000, burst=1000),
    )
    gate = Gate(access, ground.tokens, limiter, RpcMetrics(ground.metrics))
    server = grpc.aio.server(interceptors=[gate])
    service.bind(server)
    port = server.add_insecure_port("127.0.0.1:0")
    tasks = [asyncio.ensure_future(task.run()) for task in service.tasks]
    for task in tasks:
        task.add_done_callback(_not_unseen)
    await server.start()
    try:
        yield f"127.0.0.1:{port}", service, ground
    finally:
        if service.drain is not None:
            await service.drain()
        await server.stop(1.0)
        for task in tasks:
            task.cancel()
        failed = await asyncio.gather(*tasks, return_exceptions=True)
        for closer in reversed(service.closers):
            await closer()
        for store in ground.stores:
            await store.close()
        await ground.log.close()
        for outcome in failed:
            if isinstance(outcome, Exception):
                raise outcome


def _not_unseen(task: asyncio.Future[None]) -> None:
    """As the harness does: a service whose task failed does not go on as if nothing were."""
    if not task.cancelled() and task.exception() is not None:
        sys.stderr.write(f"background task failed: {task.exception()!r}\n")
        task.get_loop().stop()


async def main(folder: Path) -> None:
    """Serves until killed; the address goes into a file, whole or not at all."""
    async with serving(folder) as (address, _, _):
        ready = folder / "address.part"
        ready.write_text(address)
        ready.rename(folder / "address")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
