"""A real run of the service, recorded in the log of a laptop and done again by the command."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from inyeon.cli.app import app
from inyeon.matching.domain.waves import warm_up
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.log.embedded import EmbeddedLog
from inyeon.runtime.log.envelope import is_type
from inyeon.runtime.log.port import Log
from inyeon.runtime.log.topics import DECISIONS
from inyeon_protos.events.v1 import events_pb2

pytestmark = pytest.mark.integration

MakeStage = Callable[..., Coroutine[Any, Any, Any]]
LANGUAGES = ("en", "es", "en", "ja", "es", "en", "ja", "en")


@pytest.fixture
async def recorded(tmp_path: Path, stages: MakeStage, wish: Any) -> Path:
    """The folder of a service at which eight people found somebody."""
    await asyncio.to_thread(warm_up)
    folder = tmp_path / "platform"
    folder.mkdir()
    log = await EmbeddedLog.open(folder / "log.db", SystemClock())
    stage = await stages(log, min_similarity=0.0)
    devices = []
    for number, language in enumerate(LANGUAGES):
        device = await stage.device(f"user-{number}").open()
        device.keep_beating()
        await device.seek(wish(language, (9, number, 1, 0)))
        devices.append(device)
    for device in devices:
        await device.hear("matched")
    await _published(log, pairs=len(LANGUAGES) // 2)
    await stage.close()
    stage.close = stage.kill = _nothing  # it is closed
    return folder


async def _nothing() -> None:
    pass


async def _published(log: Log, pairs: int) -> None:
    reader = await log.read_all([DECISIONS])
    found = 0
    async with asyncio.timeout(10):
        while found < pairs:
            for record in await reader.poll(100, 0.1):
                if is_type(record, events_pb2.WaveDecided):
                    found += len(events_pb2.WaveDecided.FromString(record.value or b"").pairs) // 2
    await reader.close()


def replay(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["matching", "replay", *arguments])


async def in_thread(*arguments: str) -> Any:
    return await asyncio.to_thread(replay, *arguments)


async def test_a_real_run_is_done_again(recorded: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved.jsonl"
    told = await in_thread("--data-dir", str(recorded), "--save", str(saved), "--json")
    assert told.exit_code == 0, told.output
    facts = json.loads(told.stdout)
    assert facts["pairs"] == len(LANGUAGES) // 2 and facts["fates"]["SAME"] == facts["waves"] > 0
    assert facts["differences"] == facts["unreadable"] == [] and facts["unrecorded"] == 0
    again = await in_thread("--file", str(saved), "--json")
    assert again.stdout == told.stdout
    shown = await in_thread("--file", str(saved), "--pool", "main")
    assert shown.exit_code == 0 and "main" in shown.stdout
    elsewhere = await in_thread("--file", str(saved), "--pool", "nowhere")
    assert elsewhere.exit_code == 2 and "NOTHING_COMPARED" in elsewhere.stderr


async def test_what_was_changed_is_found(recorded: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved.jsonl"
    await in_thread("--data-dir", str(recorded), "--save", str(saved))

    def changed(name: str, change: Callable[[events_pb2.WaveDecided], None]) -> str:
        lines = [json.loads(line) for line in saved.read_text().splitlines()]
        for line in lines:
            event = events_pb2.WaveDecided.FromString(base64.b64decode(line["value"]))
            change(event)
            line["value"] = base64.b64encode(event.SerializeToString()).decode()
        path = tmp_path / name
        path.write_text("\n".join(map(json.dumps, lines)))
        return str(path)

    def other_seed(event: events_pb2.WaveDecided) -> None:
        event.pairs_digest = b"forged"

    told = await in_thread("--file", changed("digest", other_seed))
    assert told.exit_code == 1 and "first difference: pool main, wave 1/1" in told.stdout

    def other_inputs(event: events_pb2.WaveDecided) -> None:
        event.inputs_digest = b"forged"

    told = await in_thread("--file", changed("inputs", other_inputs), "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["differences"][0]["fate"] == "INPUTS_DIFFER"

    def other_engine(event: events_pb2.WaveDecided) -> None:
        event.engine = "linear-0/abc"

    told = await in_thread("--file", changed("engine", other_engine))
    assert told.exit_code == 2 and "not comparable: engine linear-0/abc" in told.stdout
    told = await in_thread("--file", changed("engine", other_engine), "--any-engine")
    assert told.exit_code == 0

    def no_inputs(event: events_pb2.WaveDecided) -> None:
        event.parts = 0

    told = await in_thread("--file", changed("bare", no_inputs))
    assert told.exit_code == 2 and "have no recorded inputs" in told.stdout

    def garbage(event: events_pb2.WaveDecided) -> None:
        event.inputs = b"?"

    told = await in_thread("--file", changed("garbage", garbage))
    assert told.exit_code == 1 and "unreadable: " in told.stdout


async def test_the_second_half_alone_says_that_its_base_is_missing(
    recorded: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "saved.jsonl"
    await in_thread("--data-dir", str(recorded), "--save", str(saved))
    lines = saved.read_text().splitlines()
    assert len(lines) > 1, "they came one after the other"
    half = tmp_path / "half.jsonl"
    half.write_text("\n".join(lines[1:]))
    told = await in_thread("--file", str(half))
    assert told.exit_code == 2 and "came before the first key frame" in told.stdout


def test_a_folder_without_a_log_and_a_file_of_garbage(tmp_path: Path) -> None:
    told = replay("--data-dir", str(tmp_path))
    assert told.exit_code == 2 and "no log.db" in told.stderr
    garbage = tmp_path / "garbage"
    garbage.write_text("{")
    for path in (garbage, tmp_path / "nothing"):
        told = replay("--file", str(path))
        assert told.exit_code == 2 and "FILE_UNREADABLE" in told.stderr
