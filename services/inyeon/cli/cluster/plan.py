"""Which processes there are, where each listens and what it is told. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inyeon.cli.cluster.stack_file import StackFile
from inyeon.runtime.errors import SettingsRefused
from inyeon.runtime.harness import Ports

MOST_REPLICAS = 8
DEVICES = ("moderation", "matching", "translation", "gateway")
"""Roles that devices speak to, in the order of start."""
NONE_BY_DEFAULT = "relay"
"""Services publish their outboxes themselves unless a relay is asked for: a process less."""


@dataclass(frozen=True, slots=True)
class Member:
    """One process: `inyeon serve role` with these variables over the caller's."""

    role: str
    number: int
    ports: Ports
    environment: Mapping[str, str]

    @property
    def name(self) -> str:
        """Like matching-1; also its name among replicas."""
        return f"{self.role}-{self.number}"


@dataclass(frozen=True, slots=True)
class Shared:
    """What every process is told alike."""

    stack: StackFile
    data_dir: Path
    keys_dir: Path
    caption_key: str


def counts(wanted: Sequence[str], roles: Sequence[str]) -> dict[str, int]:
    """Processes of each role, from `role=n` texts over one each. Raises SettingsRefused."""
    found = {role: 0 if role == NONE_BY_DEFAULT else 1 for role in roles}
    for text in wanted:
        role, _, number = text.partition("=")
        if role not in found:
            known = ", ".join(found)
            raise SettingsRefused(f"{role!r} is none of {known}", field="--replicas")
        least = 1 if role in DEVICES else 0
        if not number.isdecimal() or not least <= int(number) <= MOST_REPLICAS:
            message = f"{text!r}: a number from {least} to {MOST_REPLICAS} belongs after {role}="
            raise SettingsRefused(message, field="--replicas")
        found[role] = int(number)
    return found


def plan(
    replicas: Mapping[str, int], shared: Shared, ports: Callable[[int], Sequence[int]]
) -> tuple[Member, ...]:
    """The processes in the order of start. `ports(n)` gives n different ones."""
    names = [(role, i + 1) for role, count in replicas.items() for i in range(count)]
    free = ports(3 * len(names))
    where = {name: Ports(*free[3 * i : 3 * i + 3]) for i, name in enumerate(names)}
    relayed = bool(replicas.get("relay"))
    common = _common(shared) | {"INYEON_RELAY": json.dumps(not relayed)}
    # The page is the gateway's, the review list moderation's.
    review = {"INYEON_GATEWAY_REVIEW_PAGE": page_of(where["moderation", 1]) + "review"}
    return tuple(
        Member(
            role,
            number,
            mine,
            common
            | _own(role, number, mine, where, shared)
            | (review if role == "gateway" else {}),
        )
        for (role, number), mine in where.items()
    )


def page_of(ports: Ports) -> str:
    """Address of its pages."""
    return f"http://127.0.0.1:{ports.http}/"


def endpoint(members: Sequence[Member], role: str) -> str:
    """What an agent is told for this role: every replica's address, separated by commas."""
    return ",".join(f"127.0.0.1:{m.ports.grpc}" for m in members if m.role == role)


def _common(shared: Shared) -> dict[str, str]:
    engines = {
        "INYEON_KAFKA_SERVERS": json.dumps(shared.stack.kafka),
        "INYEON_KAFKA_REPLICATION": str(shared.stack.kafka_replication),
        "INYEON_DATABASE_URL": shared.stack.database_url,
        "INYEON_KEYS_DIR": str(shared.keys_dir),
        "INYEON_TRANSLATION_MAC_KEY": shared.caption_key,
    }
    return engines | {"INYEON_INFERENCE_TRITON": shared.stack.triton or ""}


def _own(
    role: str,
    number: int,
    mine: Ports,
    where: Mapping[tuple[str, int], Ports],
    shared: Shared,
) -> dict[str, str]:
    name = f"{role}-{number}"
    others = [
        f"127.0.0.1:{ports.internal}"
        for (other, n), ports in where.items()
        if other == role and n != number
    ]
    return {
        "INYEON_REPLICA": name,
        "INYEON_DATA_DIR": str(shared.data_dir / name),
        "INYEON_HOST": "127.0.0.1",
        "INYEON_GRPC_PORT": str(mine.grpc),
        "INYEON_INTERNAL_PORT": str(mine.internal),
        "INYEON_HTTP_PORT": str(mine.http),
        "INYEON_PEERS": json.dumps(others),
    }
