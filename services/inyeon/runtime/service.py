"""What a service hands to the harness, and what the harness hands to a service.

`bootstrap.build(settings, ground) -> Service` is the same in every service; `inyeon up` builds all
of them on one ground and one gRPC server, `inyeon serve ROLE` builds one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import grpc
from fastapi import APIRouter
from prometheus_client import CollectorRegistry
from sqlalchemy import MetaData

from inyeon.runtime.clock import Clock
from inyeon.runtime.identity.statements import StatementSigner, StatementVerifier
from inyeon.runtime.identity.tokens import TokenIssuer, TokenVerifier
from inyeon.runtime.log.consuming_metrics import ConsumerMetrics
from inyeon.runtime.log.port import Log
from inyeon.runtime.peers import Peers
from inyeon.runtime.store.port import Store


class Ground(Protocol):
    """Everything that services share in one process. Built by the harness; closed by it."""

    @property
    def clock(self) -> Clock: ...
    @property
    def log(self) -> Log: ...
    @property
    def metrics(self) -> CollectorRegistry: ...
    @property
    def consumer_metrics(self) -> ConsumerMetrics:
        """For `consume`; there is one set in a process."""
        ...

    @property
    def data_dir(self) -> Path:
        """Where a service may keep files."""
        ...

    @property
    def replica(self) -> str:
        """Name of this process among its replicas."""
        ...

    @property
    def development(self) -> bool:
        """The process runs in the development environment."""
        ...

    @property
    def tokens(self) -> TokenVerifier:
        """Verifies callers' tokens; stream servers need it for renewal in band."""
        ...

    def token_issuer(self) -> TokenIssuer:
        """Development identity. Raises SettingsRefused outside development."""
        ...

    async def store(self, service: str, tables: MetaData) -> Store:
        """Opens the service's own database, with its tables migrated and its outbox relayed to the
        log.
        """
        ...

    def peers(self, service: str) -> Peers:
        """Streams of this service held here, and a way to those of its other replicas."""
        ...

    def signer(self, service: str) -> StatementSigner:
        """Signs with the key of this service (moderation: passes, matching: grants)."""
        ...

    def verifier(self, service: str) -> StatementVerifier:
        """Verifies statements signed by that service."""
        ...


@dataclass(frozen=True, slots=True)
class BackgroundTask:
    """A loop that runs while the service runs. If it raises, the process logs it and ends."""

    name: str
    run: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Service:
    """A built service, not yet started."""

    name: str
    """matching, moderation, translation or gateway."""
    grpc_names: tuple[str, ...]
    """Full names of its gRPC services, for health, reflection and the token audience
    `inyeon-<name>`.
    """
    bind: Callable[[grpc.aio.Server], None]
    """Adds its handlers to a server."""
    tasks: tuple[BackgroundTask, ...] = ()
    ready: Callable[[], bool] = lambda: True
    """Asked once a second; feeds health."""
    drain: Callable[[], Awaitable[None]] | None = None
    """Called on SIGTERM before the server stops: end streams with DRAINING."""
    closers: tuple[Callable[[], Awaitable[None]], ...] = ()
    """Run in reverse order at the end; the first error survives."""
    routes: APIRouter | None = None
    """HTTP pages of the service, mounted beside /metrics."""
    open_methods: frozenset[str] = field(default_factory=frozenset)
    """Full method names that need no token (development identity only)."""
