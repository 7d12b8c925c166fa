"""Settings of inference: INYEON_INFERENCE_*, frozen, read once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from inyeon.runtime.errors import SettingsRefused
from inyeon.runtime.settings import StrictSettings

Hedge = Literal["off", "embedding", "all"]


def _models_dir() -> Path:
    return Path(os.environ.get("INYEON_MODELS_DIR") or "build/models")


class InferenceSettings(StrictSettings):
    """What an operator may set."""

    model_config = SettingsConfigDict(
        env_prefix="INYEON_INFERENCE_", frozen=True, extra="forbid", validate_default=True
    )

    triton: str = Field(default="", pattern=r"^([^\s:/]+:\d{1,5})?$")
    """host:port of tritonserver's gRPC. Empty: the models run in this process."""
    triton_ca: Path | None = None
    """CA certificates of the server; None: plaintext, for a network of your own."""
    bank_scope: str = Field(default="platform", pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")
    """Whose banks to search on the server: platforms that share one (a canary, tests) name their
    own, all replicas of one platform the same."""
    hedge: Hedge = "off"
    """What this process may answer itself while Triton does not: nothing, embeddings (1 MB of
    memory), or pictures too (about 300 MB). Opinions by hedge count as opinions."""
    models_dir: Path = Field(default_factory=_models_dir)
    """Built models. With Triton only content_head.npz and canaries.json are read, unless the hedge
    is all. Default: INYEON_MODELS_DIR, else build/models."""
    threads: int = Field(default=2, ge=1, le=64)
    """Threads for a picture in this process."""
    probe_every_s: float = Field(default=0.4, ge=0.05, le=0.9)
    """Between two known answers of the embedding judge."""
    probe_budget_s: float = Field(default=0.5, ge=0.05, le=0.9)
    """Time for each of them. Together below 1 s: the longest that a loss stays unseen."""
    image_check_every_s: float = Field(default=30.0, ge=1.0, le=3600.0)
    """Between two known answers of each image model; each costs up to 130 ms of two cores."""
    image_budget_s: float = Field(default=3.0, ge=0.1, le=60.0)
    """Time for each of them; the first one in this process also opens the model."""

    @model_validator(mode="after")
    def _sees_a_loss_within_a_second(self) -> Self:
        if self.probe_every_s + self.probe_budget_s > 0.95:
            message = "PROBE_EVERY_S and PROBE_BUDGET_S must be below 0.95 together"
            raise SettingsRefused(message, reason="PROBE_TOO_SLOW", field="probe_every_s")
        return self
