"""Settings of the ground: read once, refused early, printed without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsConfigDict

from inyeon.runtime.errors import SettingsRefused
from inyeon.runtime.settings import RuntimeSettings, StrictSettings

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("INYEON_")]:
        monkeypatch.delenv(name)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INYEON_GRPC_PORT", "9000")
    monkeypatch.setenv("INYEON_PEERS", '["a:1", "b:2"]')
    settings = RuntimeSettings()
    assert (settings.grpc_port, settings.peers) == (9000, ("a:1", "b:2"))
    assert settings.keys == settings.data_dir / "keys"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        RuntimeSettings().grpc_port = 1


@pytest.mark.parametrize(
    ("name", "near"),
    [("INYEON_GRPC_PROT", "INYEON_GRPC_PORT"), ("INYEON_ISSUR", "INYEON_ISSUER")],
)
def test_a_misspelt_name_is_refused_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, name: str, near: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsRefused, match=f"{name} is no setting; did you mean {near}"):
        RuntimeSettings()


def test_settings_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INYEON_MATCHING_POOL", "main")
    monkeypatch.setenv("INYEON_MODELS_DIR", "/models")
    assert RuntimeSettings().development


def test_unsafe_defaults_are_refused_outside_development(tmp_path: Path) -> None:
    given = {"issuer": "https://id.example", "jwks": "https://id.example/jwks"}
    with pytest.raises(SettingsRefused) as caught:
        RuntimeSettings(environment="production")
    assert caught.value.field == "INYEON_ISSUER"
    with pytest.raises(SettingsRefused) as caught:
        RuntimeSettings(environment="production", issuer="https://id.example")
    assert caught.value.field == "INYEON_JWKS"
    with pytest.raises(SettingsRefused) as caught:
        RuntimeSettings(environment="production", **given)  # type: ignore[arg-type]
    assert caught.value.field == "INYEON_KEYS_DIR"
    settings = RuntimeSettings(environment="production", keys_dir=tmp_path, **given)  # type: ignore[arg-type]
    assert not settings.development


def test_printed_settings_hold_no_secret() -> None:
    shown = RuntimeSettings(jwks="https://me:word@id.example:8443/jwks?key=abc").redacted()
    assert shown["jwks"] == "https://id.example:8443/jwks?***"

    class Secretive(StrictSettings):
        model_config = SettingsConfigDict(env_prefix="OTHER_", frozen=True, extra="forbid")
        password: SecretStr = SecretStr("hush")

    assert Secretive().redacted() == {"password": "***"}
