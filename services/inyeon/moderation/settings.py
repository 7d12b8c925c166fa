"""Settings of moderation: frozen, read once, prefix INYEON_MODERATION_."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from inyeon.runtime.settings import StrictSettings

DEFAULT_POLICY = Path(__file__).parent / "policies" / "default.yaml"


class ModerationSettings(StrictSettings):
    """What an operator may set."""

    model_config = SettingsConfigDict(
        env_prefix="INYEON_MODERATION_", frozen=True, extra="forbid", validate_default=True
    )

    policy: Path = DEFAULT_POLICY
    """Policy file in force."""
    commit_every_s: float = Field(default=0.25, gt=0, le=0.5)
    """Group commit: half of the 500 ms that the contract promises, so that the transaction itself
    has the other half."""
    commit_at_windows: int = Field(default=512, ge=1, le=100_000)
    """A commit starts early at so many windows: 4,000 windows/s are then eight commits a second."""
    max_sessions: int = Field(default=5_000, ge=1, le=1_000_000)
    """Observe streams of this replica; more are refused with RESOURCE_EXHAUSTED."""
    snapshot_ttl_s: float = Field(default=86_400.0, gt=0)
    """A session that nobody resumed for a day is over; its snapshot goes."""
