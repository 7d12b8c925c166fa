"""Settings: from the environment, frozen, unknown ones refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from inyeon.moderation.api.review import decision_of, state_of
from inyeon.moderation.settings import DEFAULT_POLICY, ModerationSettings
from inyeon.runtime.errors import InvalidRequest, SettingsRefused

pytestmark = pytest.mark.unit


def test_defaults_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ModerationSettings().policy == DEFAULT_POLICY
    monkeypatch.setenv("INYEON_MODERATION_POLICY", "/etc/inyeon/strict.yaml")
    monkeypatch.setenv("INYEON_MODERATION_COMMIT_EVERY_S", "0.1")
    settings = ModerationSettings()
    assert (settings.policy, settings.commit_every_s) == (Path("/etc/inyeon/strict.yaml"), 0.1)
    with pytest.raises(ValidationError):
        settings.commit_every_s = 0.2


def test_a_commit_never_waits_longer_than_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INYEON_MODERATION_COMMIT_EVERY_S", "0.6")
    with pytest.raises((ValidationError, SettingsRefused)):
        ModerationSettings()


def test_unknown_settings_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INYEON_MODERATION_POLCY", "x")
    with pytest.raises((ValidationError, SettingsRefused)):
        ModerationSettings()


def test_unknown_enums_of_review_are_refused() -> None:
    for code in (0, 9):
        with pytest.raises(InvalidRequest) as refused:
            decision_of(code)
        assert refused.value.field == "decision"
    with pytest.raises(InvalidRequest) as refused:
        state_of(9)
    assert refused.value.field == "state"
