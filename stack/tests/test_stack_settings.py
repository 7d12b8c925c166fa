"""STACK_* variables."""

from __future__ import annotations

import uuid

import pytest

from inyeon_stack.errors import SettingRefused
from inyeon_stack.kafka import cluster_id_of
from inyeon_stack.settings import StackSettings, read_settings

pytestmark = pytest.mark.unit


def test_without_variables_the_usual_ports() -> None:
    assert read_settings({"PATH": "/bin", "STACK_FOLDER": "/x"}) == StackSettings()


def test_ports_are_read() -> None:
    settings = read_settings({"STACK_KAFKA_PORT": "0", "STACK_POSTGRES_PORT": "5432"})
    assert (settings.kafka_port, settings.postgres_port) == (0, 5432)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("STACK_KAFKA_PRT", "1", "is no setting; there are .*STACK_KAFKA_PORT"),
        ("STACK_KAFKA_PORT", "x", "'x' is no number"),
        ("STACK_KAFKA_PORT", "-1", "no number"),
        ("STACK_KAFKA_PORT", "65536", "no number"),
        ("STACK_KAFKA_PORT", "", "no number"),
        ("STACK_KAFKA_NODES", "2", "must be 1 or 3"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: str, reason: str) -> None:
    with pytest.raises(SettingRefused, match=reason) as refused:
        read_settings({name: value})
    assert refused.value.engine == name


@pytest.mark.parametrize("first", range(256))
def test_a_cluster_id_is_never_taken_for_an_option(first: int) -> None:
    written = cluster_id_of(uuid.UUID(bytes=bytes([first, *range(15)])))
    assert len(written) == 22
    assert not written.startswith("-")
