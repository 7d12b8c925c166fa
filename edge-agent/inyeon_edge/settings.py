"""Settings of the agent: environment (`INYEON_EDGE_...`) under the command line, read once."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from inyeon_edge.errors import SettingsRefused
from inyeon_edge.uplink.wish import parse_languages

PREFIX = "INYEON_EDGE_"
_ENDPOINT = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})")

Gender = Literal["female", "male", "other", "unspecified"]


class Settings(BaseSettings):
    """Everything that the agent can be told. Frozen; an unknown key stops the process."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True
    )

    source: Annotated[str, Field(min_length=1, max_length=4096)]
    """What is shown: a file, an image, drawn:<name>."""
    endpoint: str = "127.0.0.1:7400"
    """host:port of the platform."""
    moderation_endpoint: str = ""
    """host:port of moderation, or several replicas' IPv4 addresses and ports separated by commas;
    empty: `endpoint`. Likewise the next three."""
    matching_endpoint: str = ""
    translation_endpoint: str = ""
    gateway_endpoint: str = ""
    subject: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_-]*$")] = ""
    """Random subject id; empty lets the platform choose one."""
    age_band: Literal["adult", "minor"] = "adult"
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = "KR"
    gender: Gender = "unspecified"
    languages: str = "en:5"
    """Like en:5,fr:2."""
    interests: Annotated[str, Field(max_length=8192)] = ""
    """In the person's words; empty: nobody is looked for."""
    name: Annotated[str, Field(max_length=64)] = ""
    """Name that the person shows; never translated."""
    preview_port: Annotated[int, Field(ge=-1, le=65535)] = 0
    """Port of the preview on 127.0.0.1; 0 takes a free one, -1 none."""
    fps: Annotated[int, Field(ge=1, le=60)] = 15
    size: Annotated[str, Field(pattern=r"^[0-9]{2,4}x[0-9]{2,4}$")] = "320x240"
    chat: Path | None = None
    """A file whose lines are said, one every two seconds, once a conversation is open."""
    record: Path | None = None
    """A file that gets the picture as sent."""
    json_events: bool = False
    commands: bool = False
    again: bool = True
    """Looks again after a match is over."""
    accepts: Literal["always", "never", "ask"] = "always"
    """What to answer where both are asked before they meet; `ask` waits for a command."""
    data_dir: Path = Path("~/.local/state/inyeon-edge")
    """Where the ring lies; one folder a device."""
    models_dir: Annotated[
        Path, Field(validation_alias=AliasChoices("models_dir", "INYEON_MODELS_DIR"))
    ] = Path("build/models")

    @field_validator(
        "endpoint",
        "moderation_endpoint",
        "matching_endpoint",
        "translation_endpoint",
        "gateway_endpoint",
    )
    @classmethod
    def _is_endpoint(cls, value: str) -> str:
        for one in value.split(",") if value else ():
            found = _ENDPOINT.fullmatch(one)
            if found is None or not 0 < int(found[2]) < 65536:
                raise ValueError(f"{one!r} is not host:port")
        return value

    @field_validator("languages")
    @classmethod
    def _are_languages(cls, value: str) -> str:
        try:
            parse_languages(value)
        except SettingsRefused as error:
            raise ValueError(str(error)) from error
        return value

    @property
    def width(self) -> int:
        """Width of the picture as sent, pixels."""
        return int(self.size.split("x")[0])

    @property
    def height(self) -> int:
        """Height of the picture as sent, pixels."""
        return int(self.size.split("x")[1])

    def endpoint_of(self, service: str) -> str:
        """Where moderation, matching, translation or gateway listens."""
        own: str = getattr(self, f"{service}_endpoint")
        return own or self.endpoint


def read_settings(given: dict[str, Any]) -> Settings:
    """Settings from the command line over the environment. Raises SettingsRefused naming the
    field."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    ours = (key for key in os.environ if key.upper().startswith(PREFIX))
    for key in sorted(ours):
        if key.upper() not in known:
            raise SettingsRefused(f"unknown setting {key}", field=key)
    try:
        return Settings(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(each) for each in first["loc"])
        raise SettingsRefused(f"{field}: {first['msg']}", field=field) from error
