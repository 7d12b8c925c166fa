"""What `inyeon matching lengths` does."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

import typer
from prometheus_client import CollectorRegistry

from inyeon.matching.adapters.length_log import READ_FROM, LengthLog, read_conversations
from inyeon.matching.domain.lengths import LengthModel, LengthsRefused, calibration, fit
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import InyeonError, SettingsRefused, Unavailable
from inyeon.runtime.log.topics import TOPICS
from inyeon.runtime.settings import RuntimeSettings

NOT_BETTER, REFUSED, AWAY = 1, 2, 3
"""Exit codes: predicts no better than a constant; wrong input; the log is away."""
TAUGHT = 0.8
"""Share of the conversations, the first ones, from which it learns; the rest judge it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Of conversations that came after those it learned from."""

    learned: int
    judged: int
    constant: float
    """Mean squared error of always saying the first ones' mean."""
    ours: float
    slope: float
    """Of calibration; 1 is honest."""
    gap: float


def run_lengths(data_dir: Path | None, out: Path, *, as_json: bool) -> None:
    """Learns, judges, and writes the model only where it beats the constant."""
    try:
        log = asyncio.run(_read(data_dir))
        model, judged = learn(log)
    except InyeonError as error:
        _end(error.reason, str(error), AWAY if isinstance(error, Unavailable) else REFUSED)
    except LengthsRefused as error:
        _end(error.reason, str(error), REFUSED)
    _show(judged, log.unreadable, as_json=as_json)
    if judged.ours >= judged.constant:
        _end("NOT_BETTER", "a constant predicts as well: no model is written", NOT_BETTER)
    try:
        out.write_text(json.dumps(asdict(model), indent=1) + "\n", "utf-8")
    except OSError as error:
        _end("FILE_UNWRITABLE", f"{out}: {error}", REFUSED)


def learn(log: LengthLog) -> tuple[LengthModel, Judged]:
    """From the first conversations, judged by the last. Raises LengthsRefused."""
    rows, share = log.conversations()
    first = int(TAUGHT * len(rows))
    model = fit(rows[:first], share[:first])
    said, happened = model.share(rows[first:]), share[first:]
    slope, gap = calibration(said, happened)
    constant = float(((share[:first].mean() - happened) ** 2).mean())
    ours = float(((said - happened) ** 2).mean())
    return model, Judged(first, len(happened), constant, ours, slope, gap)


async def _read(data_dir: Path | None) -> LengthLog:
    from inyeon.runtime.ground import open_log

    found = LengthLog()
    log = await open_log(_settings(data_dir), SystemClock(), CollectorRegistry())
    try:
        await log.create_topics([spec for spec in TOPICS if spec.name in READ_FROM])
        async with aclosing(read_conversations(log)) as records:
            async for record in records:
                found.take(record)
    finally:
        await log.close()
    return found


def _settings(data_dir: Path | None) -> RuntimeSettings:
    if data_dir is None:
        return RuntimeSettings()
    if not (data_dir / "log.db").exists():
        raise SettingsRefused(f"no log.db in {data_dir}")
    return RuntimeSettings(data_dir=data_dir, kafka_servers=())


def _show(judged: Judged, unreadable: int, *, as_json: bool) -> None:
    facts = asdict(judged) | {"unreadable": unreadable}
    if as_json:
        typer.echo(json.dumps(facts, sort_keys=True))
        return
    for name, value in facts.items():
        typer.echo(f"{name:<12} {value:>10.4g}")


def _end(reason: str, message: str, code: int) -> NoReturn:
    typer.echo(f"{reason}: {message}", err=True)
    raise typer.Exit(code) from None
