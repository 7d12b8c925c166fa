"""What the caller of the stack may choose, from STACK_* variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inyeon_stack.errors import SettingRefused


@dataclass(frozen=True, slots=True)
class StackSettings:
    """Ports of 127.0.0.1 (0: any free one) and the number of Kafka's nodes (1 or 3)."""

    kafka_port: int = 7492
    """With three nodes also the two ports above."""
    kafka_nodes: int = 1
    postgres_port: int = 7432
    triton_port: int = 7450
    """gRPC."""
    triton_http_port: int = 7451
    triton_metrics_port: int = 7452


def read_settings(environment: Mapping[str, str]) -> StackSettings:
    """STACK_KAFKA_PORT and so on. Raises SettingRefused for an unknown name or a wrong number."""
    names = {f"STACK_{name.upper()}": name for name in StackSettings.__slots__}
    given = {k: v for k, v in environment.items() if k.startswith("STACK_") and k != "STACK_FOLDER"}
    for unknown in sorted(given.keys() - names):
        raise SettingRefused(unknown, f"is no setting; there are {', '.join(sorted(names))}")
    settings = StackSettings(**{names[key]: _number(key, value) for key, value in given.items()})
    if settings.kafka_nodes not in (1, 3):
        raise SettingRefused("STACK_KAFKA_NODES", "must be 1 or 3")
    return settings


def _number(name: str, value: str) -> int:
    if not value.isdecimal() or int(value) > 65_535:
        raise SettingRefused(name, f"{value!r} is no number from 0 to 65535")
    return int(value)
