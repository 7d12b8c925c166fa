"""Reads the addresses of the engines, as `make stack` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inyeon.runtime.errors import SettingsRefused

HostPort = Annotated[str, Field(pattern=r"^[^\s:/]+:\d{1,5}$")]


class StackFile(BaseModel):
    """What services need of it; other facts are for people."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kafka: Annotated[tuple[HostPort, ...], Field(min_length=1)]
    kafka_replication: Annotated[int, Field(ge=1, le=7)] = 1
    database_url: Annotated[str, Field(pattern=r"^postgresql://.*\{service\}")]
    triton: HostPort | None = None
    """None: the heavy models run in the worker's process."""


def read_stack_file(path: Path) -> StackFile:
    """Raises SettingsRefused for a file that is absent or lacks what services need."""
    try:
        return StackFile.model_validate_json(path.read_bytes())
    except OSError as error:
        message = f"no stack file {path}: run `make stack` first"
        raise SettingsRefused(message, reason="STACK_ABSENT", field="--stack-file") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"stack file {path}: {where}: {first['msg']}"
        raise SettingsRefused(message, reason="STACK_INVALID", field=where) from error
