"""How the clients of Kafka are set."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from pydantic import SecretStr

from inyeon.runtime.log import kafka_settings as settings
from inyeon.runtime.settings import RuntimeSettings

pytestmark = pytest.mark.unit

PLAIN = RuntimeSettings(kafka_servers=("a:1", "b:2"), replica="one")


def test_the_client_knows_every_option() -> None:
    assert settings.client_options(PLAIN).keys() <= KafkaAdminClient.DEFAULT_CONFIG.keys()
    assert settings.producer_options(PLAIN).keys() <= KafkaProducer.DEFAULT_CONFIG.keys()
    known = KafkaConsumer.DEFAULT_CONFIG.keys()
    assert settings.reader_options(PLAIN).keys() <= known
    assert settings.member_options(PLAIN, "g", 0).keys() <= known


def test_what_the_library_does_unsafely_by_default_is_said_aloud() -> None:
    producer = settings.producer_options(PLAIN)
    assert producer["acks"] == "all"
    assert producer["enable_idempotence"] is True
    assert producer["max_in_flight_requests_per_connection"] <= 5
    member = settings.member_options(PLAIN, "g", 0)
    assert member["enable_auto_commit"] is False
    assert member["auto_offset_reset"] == "earliest"
    assert member["isolation_level"] == "read_committed"
    assert [a.name for a in member["partition_assignment_strategy"]] == ["cooperative-sticky"]
    assert member["reconnect_backoff_max_ms"] <= 1_000


def test_the_time_outs_fit_into_each_other() -> None:
    producer = settings.producer_options(PLAIN)
    assert producer["linger_ms"] + producer["request_timeout_ms"] <= producer["delivery_timeout_ms"]
    # The library's own expiry comes first: otherwise what was given up is sent after its
    # repetition.
    own_ms = producer["max_block_ms"] + producer["delivery_timeout_ms"]
    assert own_ms < settings.PUBLISH_S * 1e3
    member = settings.member_options(PLAIN, "g", 0)
    assert member["heartbeat_interval_ms"] * 3 <= member["session_timeout_ms"]
    assert member["fetch_max_wait_ms"] < member["request_timeout_ms"]


def test_plaintext() -> None:
    options = settings.client_options(PLAIN)
    assert options["security_protocol"] == "PLAINTEXT"
    assert options["bootstrap_servers"] == ["a:1", "b:2"]
    assert "ssl_context" not in options


def test_tls_checks_the_brokers_name_and_certificate() -> None:
    options = settings.client_options(RuntimeSettings(kafka_servers=("a:1",), kafka_security="ssl"))
    assert options["security_protocol"] == "SSL"
    context = options["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert "sasl_mechanism" not in options


def test_a_ca_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    broken = RuntimeSettings(
        kafka_servers=("a:1",), kafka_security="ssl", kafka_ca=tmp_path / "none.pem"
    )
    with pytest.raises(FileNotFoundError):
        settings.client_options(broken)


def test_scram_over_tls() -> None:
    options = settings.client_options(
        RuntimeSettings(
            kafka_servers=("a:1",),
            kafka_security="sasl_ssl",
            kafka_username="inyeon",
            kafka_password=SecretStr("secret"),
        )
    )
    assert options["security_protocol"] == "SASL_SSL"
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("inyeon", "secret")
    assert options["ssl_context"].check_hostname


def test_members_of_one_group_in_one_process_are_told_apart() -> None:
    first, second = (settings.member_options(PLAIN, "matching", seat) for seat in (0, 1))
    assert first["group_instance_id"] == "one.matching.0"
    assert second["group_instance_id"] == "one.matching.1"
    named = settings.member_options(PLAIN, "matching", 0, "pool main")
    assert named["group_instance_id"] == settings.legal_id("pool main")


@given(st.text(max_size=300), st.text(max_size=300))
def test_an_id_is_always_legal_and_tells_names_apart(one: str, other: str) -> None:
    legal = settings.legal_id(f"{one}.0")
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,249}", legal)
    assert legal not in {".", ".."}
    if one != other and one.isascii() and other.isascii():
        assert legal != settings.legal_id(f"{other}.0")
