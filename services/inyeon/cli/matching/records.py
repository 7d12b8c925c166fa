"""Records of matching's topics: from the log of a laptop or a cluster, or from a file of them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import typer
from prometheus_client import CollectorRegistry

from inyeon.matching.adapters.decisions import read_records
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import InyeonError, SettingsRefused, Unavailable
from inyeon.runtime.log.port import Record
from inyeon.runtime.log.topics import DECISIONS, TOPICS
from inyeon.runtime.settings import RuntimeSettings

REFUSED = 2
"""Exit code of wrong arguments, unreadable files, and when there is nothing to answer with."""
AWAY = 3
"""Exit code when the log is away: the same command may succeed later."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where records come from."""

    data_dir: Path | None = None
    """Folder of an embedded log; None: as the settings say."""
    file: Path | None = None
    """Records that were saved, instead."""
    save: Path | None = None
    """Also writes them there."""


def records_of(source: Source, topics: Sequence[str]) -> Sequence[Record]:
    """Everything in these topics. Exits with REFUSED or AWAY."""
    records = [one for one in _read(source, topics) if one.topic in topics]
    if source.save is not None:
        save_records(source.save, records)
    return records


def refuse(reason: str, message: str) -> NoReturn:
    """Exits with REFUSED."""
    typer.echo(f"{reason}: {message}", err=True)
    raise typer.Exit(REFUSED) from None


def _read(source: Source, topics: Sequence[str]) -> Sequence[Record]:
    if source.file is not None:
        return list(_load(source.file))
    try:
        return asyncio.run(_from_log(_settings(source.data_dir), topics))
    except InyeonError as error:
        code = AWAY if isinstance(error, Unavailable) else REFUSED
        typer.echo(f"{error.reason}: {error}", err=True)
        raise typer.Exit(code) from None


def _settings(data_dir: Path | None) -> RuntimeSettings:
    if data_dir is None:
        return RuntimeSettings()
    if not (data_dir / "log.db").exists():
        raise SettingsRefused(f"no log.db in {data_dir}")
    return RuntimeSettings(data_dir=data_dir, kafka_servers=())


async def _from_log(settings: RuntimeSettings, topics: Sequence[str]) -> list[Record]:
    from inyeon.runtime.ground import open_log

    log = await open_log(settings, SystemClock(), CollectorRegistry())
    try:
        await log.create_topics([spec for spec in TOPICS if spec.name in topics])
        async with aclosing(read_records(log, topics)) as records:
            return [record async for record in records]
    finally:
        await log.close()


def save_records(path: Path, records: Sequence[Record]) -> None:
    """A line for each. Exits with REFUSED where that cannot be written."""
    try:
        path.write_text("".join(json.dumps(_line(one)) + "\n" for one in records), "utf-8")
    except OSError as error:
        refuse("FILE_UNWRITABLE", f"{path}: {error}")


def _line(record: Record) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "key": record.key,
        "partition": record.partition,
        "offset": record.offset,
        "headers": dict(record.headers),
        "value": base64.b64encode(record.value or b"").decode(),
    }


def _load(path: Path) -> Iterator[Record]:
    try:
        for line in path.read_text("utf-8").splitlines():
            one = json.loads(line)
            value = base64.b64decode(one["value"], validate=True)
            place = int(one["partition"]), int(one["offset"])
            at = datetime.fromtimestamp(0, UTC)
            topic = str(one.get("topic", DECISIONS))
            yield Record(topic, *place, str(one["key"]), value, dict(one["headers"]), at)
    except (OSError, ValueError, KeyError, TypeError) as error:
        refuse("FILE_UNREADABLE", f"{path}: {error!r}")
