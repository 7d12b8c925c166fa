"""Settings of the gateway."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from inyeon.runtime.settings import StrictSettings


class GatewaySettings(StrictSettings):
    """Read once from INYEON_GATEWAY_*; frozen."""

    model_config = SettingsConfigDict(env_prefix="INYEON_GATEWAY_", frozen=True, extra="forbid")

    development_identity: bool = True
    """Hand out tokens without proof. Refused outside development."""
    status_page: bool = True
    """Serve the status page. Refused outside development: it shows who meets whom."""
    signal_queue: int = Field(default=64, ge=1, le=1024)
    """Messages that wait for a device. A call's set-up needs fewer than ten."""
    review_page: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """Where the status page's link to the review list leads; empty: it is in this process."""
