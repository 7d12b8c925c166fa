"""Settings of the ground: from the environment (INYEON_*), frozen, read once, checked at start."""

from __future__ import annotations

import difflib
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from inyeon.runtime.errors import SettingsRefused
from inyeon.runtime.identity.tokens import DEVELOPMENT_ISSUER

OTHER_KEYS = frozenset({"INYEON_MODELS_DIR", "INYEON_TOOLS_DIR", "INYEON_DATA"})
"""Folders that builds and tests name; not ours to read."""
OTHER_PREFIXES = (
    "INYEON_MATCHING_",
    "INYEON_MODERATION_",
    "INYEON_TRANSLATION_",
    "INYEON_GATEWAY_",
    "INYEON_INFERENCE_",
    "INYEON_EDGE_",
)
"""Settings of services and of the agent, which check their own."""


class StrictSettings(BaseSettings):
    """Settings that refuse an unknown variable with their prefix: a misspelt one would be ignored.

    Derive with `model_config = SettingsConfigDict(env_prefix=..., frozen=True, extra="forbid")`.
    Constructing raises SettingsRefused naming the nearest known variable.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", validate_default=True)

    also_known: ClassVar[frozenset[str]] = frozenset()
    """Other variables that begin with the prefix."""
    also_prefixes: ClassVar[tuple[str, ...]] = ()
    """Longer prefixes whose variables belong to somebody else."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_variables(cls, values: Any) -> Any:
        prefix = str(cls.model_config.get("env_prefix", ""))
        known = {f"{prefix}{name}".upper() for name in cls.model_fields} | cls.also_known
        mine = [name for name in os.environ if name.startswith(prefix.upper())]
        refuse_unknown((n for n in mine if not n.startswith(cls.also_prefixes or "\0")), known)
        return values

    def redacted(self) -> dict[str, str]:
        """Every setting as text, without secrets and without credentials in addresses."""
        return {name: _redact(value) for name, value in self}


def refuse_unknown(names: Iterable[str], known: Iterable[str]) -> None:
    """Raises SettingsRefused for the first name that is not known, with the nearest one that is."""
    known = sorted(known)
    for name in sorted(names):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingsRefused(
                f"{name} is no setting{hint}", reason="UNKNOWN_SETTING", field=name
            )


class RuntimeSettings(StrictSettings):
    """What an operator may set for the process. Ports: 0 takes any free one."""

    model_config = SettingsConfigDict(env_prefix="INYEON_", frozen=True, extra="forbid")
    also_known = OTHER_KEYS
    also_prefixes = OTHER_PREFIXES

    environment: Literal["development", "production"] = "development"
    data_dir: Path = Path("build/platform")
    """Databases, the embedded log and, in development, generated keys."""
    host: str = "127.0.0.1"
    """Address that every port binds. Development stays on loopback by default."""
    grpc_port: int = Field(default=7400, ge=0, le=65535)
    internal_port: int = Field(default=7401, ge=0, le=65535)
    """For other replicas only; no route exposes it."""
    http_port: int = Field(default=7480, ge=0, le=65535)
    """Metrics, health and the services' pages."""
    replica: str = Field(default_factory=socket.gethostname, min_length=1, max_length=64)
    """Name of this process among its replicas."""
    peers: tuple[str, ...] = ()
    """Internal addresses (host:port) of the other replicas; JSON list in the environment."""
    issuer: str = DEVELOPMENT_ISSUER
    """`iss` of tokens."""
    jwks: str = ""
    """JWKS document of the issuer, a path or an http(s) URL. Empty: the development issuer's."""
    keys_dir: Path | None = None
    """Folder of Ed25519 keys: `<service>.pem` signs, `<service>.pub.pem` verifies, `internal.pem`
    is shared by all replicas. Development makes what is missing, under data_dir."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    traces: Literal["off", "stderr"] = "off"
    """Where spans of consumers go; stderr: one JSON object a line, between the log's lines. Trace
    ids are passed on and logged in any case."""
    max_streams: int = Field(default=20_000, ge=1)
    """RPCs under way in this process; more are refused with RESOURCE_EXHAUSTED."""
    kafka_servers: tuple[str, ...] = ()
    """Bootstrap servers (host:port) of the log; JSON list in the environment. Empty: the embedded
    log under data_dir."""
    kafka_replication: int = Field(default=1, ge=1, le=7)
    """Replicas of each topic that is created here; 3 in production, with min ISR 2."""
    kafka_security: Literal["plaintext", "ssl", "sasl_ssl"] = "plaintext"
    """Outside development plaintext needs `insecure`."""
    kafka_username: str = ""
    """SCRAM-SHA-512, with sasl_ssl."""
    kafka_password: SecretStr = SecretStr("")
    kafka_ca: Path | None = None
    """CA certificates of the brokers; None: the system's."""
    database_url: SecretStr = SecretStr("")
    """postgresql://user:password@host:port/inyeon_{service}: one database for each service. Empty:
    SQLite files under data_dir."""
    database_connections: int = Field(default=8, ge=3, le=200)
    """Connections of one service's pools in this process, writers and readers together."""
    relay: bool = True
    """This process publishes its outboxes itself; False leaves it to `inyeon serve relay`."""
    outbox_shards: int = Field(default=1, ge=1, le=16)
    """Relays that share one store's outbox by key, the same in every process; more than 1 needs
    PostgreSQL. One publishes some 10,000 events/s, and in commit order over all keys."""
    insecure: bool = False
    """Allows plaintext to the log outside development."""

    @property
    def development(self) -> bool:
        """Nobody's safety depends on this process."""
        return self.environment == "development"

    @property
    def keys(self) -> Path:
        """Where keys are."""
        return self.keys_dir or self.data_dir / "keys"

    def _log_in_plaintext(self) -> bool:
        return bool(self.kafka_servers) and self.kafka_security == "plaintext" and not self.insecure

    @model_validator(mode="after")
    def _refuse_defaults_outside_development(self) -> Self:
        if self.development:
            return self
        unsafe = {
            "INYEON_ISSUER": self.issuer == DEVELOPMENT_ISSUER,
            "INYEON_JWKS": not self.jwks,
            "INYEON_KEYS_DIR": self.keys_dir is None,
            "INYEON_KAFKA_SECURITY": self._log_in_plaintext(),
        }
        for name in (name for name, is_default in unsafe.items() if is_default):
            message = f"{name} must be set outside development: its default proves nothing"
            raise SettingsRefused(message, reason="UNSAFE_DEFAULT", field=name)
        return self


def _redact(value: object) -> str:
    if isinstance(value, SecretStr):
        return "***"
    text = str(value)
    if "://" not in text:
        return text
    parts = urlsplit(text)
    address = parts.hostname or ""
    if parts.port:
        address += f":{parts.port}"
    return urlunsplit((parts.scheme, address, parts.path, "***" if parts.query else "", ""))
