"""`inyeon log` on an embedded log."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from inyeon.cli.app import app
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.log.embedded import EmbeddedLog
from inyeon.runtime.log.poison import PoisonRecord, dead_letter
from inyeon.runtime.log.port import NewRecord, Record
from inyeon.runtime.log.topics import MATCHES, all_specs

pytestmark = pytest.mark.unit


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and everything printed."""
    result = CliRunner().invoke(app, ["log", *arguments], env={"COLUMNS": "160"})
    return result.exit_code, result.output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log with a garbage record of one match, its follower, and one of another match."""
    monkeypatch.setenv("INYEON_DATA_DIR", str(tmp_path))
    asyncio.run(_fill(tmp_path / "log.db"))
    return tmp_path


async def _fill(path: Path) -> None:
    log = await EmbeddedLog.open(path)
    await log.create_topics(all_specs())
    for key, value, reason in (
        ("m1", b"\xff", "VALUE_UNDECODABLE"),
        ("m1", b"good", "KEY_REFUSED"),
        ("m2", b"strange", "TYPE_UNKNOWN"),
    ):
        new = NewRecord(MATCHES, key, value, {"event_id": value.hex()})
        (place,) = await log.publish([new])
        read = Record(
            *(MATCHES, place.partition, place.offset, key, value, new.headers),
            SystemClock().now(),
        )
        await log.publish([dead_letter(read, "moderation", PoisonRecord(reason, "no reader"))])
    await log.close()


async def _published(path: Path) -> list[Record]:
    log = await EmbeddedLog.open(path)
    try:
        return list(await (await log.read_all([MATCHES])).poll(100, 0.1))
    finally:
        await log.close()


def test_shows_what_waits_by_group_and_reason(folder: Path) -> None:
    code, said = run("show", MATCHES)
    assert code == 0
    assert "TYPE_UNKNOWN" in said and "3 wait, 0 are done with" in said
    code, said = run("show", MATCHES, "--json", "--group", "moderation")
    facts = json.loads(said)
    assert code == 0
    assert [(x["reason"], x["letters"]) for x in facts["waiting"]] == [
        ("KEY_REFUSED", 1),
        ("TYPE_UNKNOWN", 1),
        ("VALUE_UNDECODABLE", 1),
    ]
    assert run("show", MATCHES, "--group", "nobody")[1].strip() == "0 wait, 0 are done with"


def test_a_dry_run_only_looks(folder: Path) -> None:
    code, said = run("replay", MATCHES, "--dry-run")
    assert code == 0
    assert "3 would be replayed, 0 would be discarded" in said and "m2" in said
    assert run("replay", MATCHES, "--dry-run") == (code, said)
    assert len(asyncio.run(_published(folder / "log.db"))) == 3


def test_replays_once(folder: Path) -> None:
    code, said = run("replay", MATCHES, "--key", "m1", "--json")
    facts = json.loads(said)
    assert code == 0
    assert [x["reason"] for x in facts["replayed"]] == ["VALUE_UNDECODABLE", "KEY_REFUSED"]
    assert facts["replayed"][0]["detail"] == "no reader"
    again = [r for r in asyncio.run(_published(folder / "log.db")) if "replayed_from" in r.headers]
    assert [(r.key, r.value, r.headers["replay_group"]) for r in again] == [
        ("m1", b"\xff", "moderation"),
        ("m1", b"good", "moderation"),
    ]
    assert not any(name.startswith("dlq_") for r in again for name in r.headers)
    assert json.loads(run("replay", MATCHES, "--key", "m1", "--json")[1])["replayed"] == []
    assert "1 wait, 2 are done with" in run("show", MATCHES)[1]


def test_gives_garbage_up(folder: Path) -> None:
    code, said = run("replay", MATCHES, "--reason", "VALUE_UNDECODABLE", "--discard")
    assert code == 0
    assert "1 replayed, 1 discarded" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("replay", "matching.matchs"), "did you mean matching.matches?"),
        (("replay", "zzz"), "there is no topic 'zzz'; known:"),
        (("show", f"{MATCHES}.dlq"), "did you mean matching.matches?"),
        (("replay", MATCHES, "--limit", "0"), "--limit"),
        (("replay", MATCHES, "--discard"), "--discard needs --reason or --key"),
        (("replay",), "Missing argument"),
    ],
)
def test_bad_arguments_are_named(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    code, output = run(*arguments)
    assert code == 2
    assert said in output


def test_settings_that_are_refused_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INYEON_DATA_DIRR", "x")
    code, output = run("show", MATCHES)
    assert code == 2
    assert "UNKNOWN_SETTING (INYEON_DATA_DIRR)" in output


def test_a_log_that_is_garbage_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INYEON_DATA_DIR", str(tmp_path))
    (tmp_path / "log.db").write_bytes(b"garbage" * 1_000)
    code, output = run("show", MATCHES)
    assert code == 2
    assert "LOG_CORRUPT" in output
