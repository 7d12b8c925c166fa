"""Synthetic windows and policies. No picture is behind any of these scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from inyeon.moderation.adapters.policy_file import PolicyFile, read_policy
from inyeon.moderation.domain.observation import CLASSES, Presence, Scores, Subject, Window
from inyeon.moderation.settings import DEFAULT_POLICY


class MakeWindow(Protocol):
    """Builds a window; classes not named share what is left, most of it Neutral."""

    def __call__(
        self,
        window_id: int = 1,
        *,
        subject: Subject = Subject.MYSELF,
        presence: Presence = Presence.ALONE,
        duration_s: float = 1.0,
        covered: bool = False,
        scored: bool = True,
        frames: int = 2,
        **means: float,
    ) -> Window: ...


def means_of(given: dict[str, float]) -> tuple[float, ...]:
    """(5,) distribution: what is not given goes to Neutral."""
    mean = [given.get(name, 0.0) for name in CLASSES]
    if "Neutral" not in given:
        mean[CLASSES.index("Neutral")] = max(0.0, 1.0 - sum(mean))
    return tuple(mean)


@pytest.fixture
def window() -> MakeWindow:
    def make(
        window_id: int = 1,
        *,
        subject: Subject = Subject.MYSELF,
        presence: Presence = Presence.ALONE,
        duration_s: float = 1.0,
        covered: bool = False,
        scored: bool = True,
        frames: int = 2,
        **means: float,
    ) -> Window:
        mean = means_of(means)
        scores = Scores("mobilenet_v2", "1", frames, mean, mean) if scored else None
        return Window(window_id, subject, duration_s, presence, scores, covered)

    return make


@pytest.fixture(scope="session")
def policy_file() -> PolicyFile:
    return read_policy(DEFAULT_POLICY)


@pytest.fixture(scope="session")
def policy_path(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path_factory.mktemp("policy") / "policy.yaml"
        path.write_text(text)
        return path

    return write
