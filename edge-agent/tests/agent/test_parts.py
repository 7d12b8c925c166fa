"""Commands, lines, covers, events, settings: the agent's small parts."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from inyeon_edge.agent.chat import say_all
from inyeon_edge.agent.commands import (
    LINE_LIMIT_BYTES,
    Answer,
    Attend,
    Leave,
    Look,
    Say,
    Stats,
    Stop,
    Switch,
    Widen,
    parse_command,
    read_chat,
)
from inyeon_edge.agent.covers import Cause, Covers
from inyeon_edge.agent.lines import LineReader, split_lines
from inyeon_edge.agent.report import JsonSink, ListSink, Report, RichSink
from inyeon_edge.agent.screens import Screen, Screens
from inyeon_edge.cli import app, run_with
from inyeon_edge.errors import InputRefused, OutputError, SettingsRefused
from inyeon_edge.outputs import NullOutput
from inyeon_edge.settings import read_settings
from inyeon_edge.uplink.clock import ManualClock
from inyeon_edge.uplink.facts import Explanation, Matched, Statement, Subject

from .conftest import until

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ('{"do":"switch","source":"drawn:cartoon"}', Switch("drawn:cartoon")),
        ('{"do":"say","text":"hi","id":"1"}', Say("1", "hi")),
        ('{"do":"seek"}', Look()),
        ('{"do":"leave"}', Leave()),
        ('{"do":"attend"}', Attend(looks=True)),
        ('{"do":"distracted"}', Attend(looks=False)),
        ('{"do":"accept"}', Answer(yes=True)),
        ('{"do":"decline"}', Answer(yes=False)),
        ('{"do":"widen","filters":["COUNTRIES","COUNTRIES"]}', Widen(("COUNTRIES",))),
        ('{"do":"stats"}', Stats()),
        ('{"do":"stop"}', Stop()),
    ],
)
def test_each_command_is_read(line: str, command: object) -> None:
    assert parse_command(line) == command


def test_a_line_without_an_id_gets_a_random_one() -> None:
    one, other = parse_command('{"do":"say","text":"a"}'), parse_command('{"do":"say","text":"a"}')
    assert isinstance(one, Say) and isinstance(other, Say)
    assert one.segment_id != other.segment_id


@pytest.mark.parametrize(
    ("line", "reason", "field"),
    [
        ("no json", "NOT_JSON", "line"),
        ("[1]", "NOT_JSON", "line"),
        ("[" * 5000, "NOT_JSON", "line"),
        ('{"do":"fly"}', "UNKNOWN_COMMAND", "do"),
        ('{"do":["say"]}', "UNKNOWN_COMMAND", "do"),
        ('{"do":"widen"}', "INVALID_FIELD", "filters"),
        ('{"do":"widen","filters":[]}', "INVALID_FIELD", "filters"),
        ('{"do":"widen","filters":["SIMILARITY"]}', "INVALID_FIELD", "filters"),
        ('{"do":"widen","filters":[["GENDERS"]]}', "INVALID_FIELD", "filters"),
        ('{"do":"say"}', "INVALID_FIELD", "text"),
        ('{"do":"say","text":"\\ud800"}', "INVALID_FIELD", "text"),
        ('{"do":"say","text":"  "}', "TEXT_EMPTY", "text"),
        ('{"do":"switch","source":3}', "INVALID_FIELD", "source"),
        ("x" * (LINE_LIMIT_BYTES + 1), "LINE_TOO_LONG", "line"),
    ],
)
def test_a_wrong_command_is_refused_by_field(line: str, reason: str, field: str) -> None:
    with pytest.raises(InputRefused) as refused:
        parse_command(line)
    assert (refused.value.reason, refused.value.field) == (reason, field)


@given(st.text(max_size=200))
def test_no_line_does_anything_but_parse_or_refuse(line: str) -> None:
    try:
        parse_command(line)
    except InputRefused as refused:
        assert refused.field


def test_a_chat_file_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "chat"
    path.write_text("one\n\n  two \n", "utf-8")
    assert read_chat(path) == [Say("chat-1", "one"), Say("chat-2", "two")]
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputRefused):
        read_chat(path)
    path.write_text("x\n" * 513)
    with pytest.raises(InputRefused) as refused:
        read_chat(path)
    assert refused.value.reason == "CHAT_TOO_LONG"


@given(st.binary(max_size=300), st.integers(1, 40))
def test_lines_are_split_as_bytes_split_them(text: bytes, chunk: int) -> None:
    stream = io.BytesIO(text)
    expected = text.split(b"\n")
    expected = expected[:-1] if expected[-1] == b"" else expected
    assert list(split_lines(lambda _: stream.read(chunk))) == expected


def test_an_overlong_line_is_cut_and_a_lost_terminal_is_an_end() -> None:
    stream = io.BytesIO(b"x" * (LINE_LIMIT_BYTES * 3) + b"\nok\n")
    lines = list(split_lines(stream.read))
    assert len(lines[0]) == LINE_LIMIT_BYTES + 1
    assert lines[1] == b"ok"

    def gone(_: int) -> bytes:
        raise OSError

    assert list(split_lines(gone)) == []


async def test_lines_reach_the_loop_and_the_end_is_told() -> None:
    taken: list[str] = []
    stream, ended = io.BytesIO(b"a\n\n\xff\nb"), asyncio.Event()
    LineReader(stream.read, asyncio.get_running_loop(), taken.append, ended.set).start()
    await asyncio.wait_for(ended.wait(), 5)
    assert taken == ["a", "\udcff", "b"]


def test_a_picture_is_seen_when_no_cause_is_left() -> None:
    told: list[tuple[Subject, bool, Cause, str]] = []
    covers = Covers(lambda *each: told.append(each))
    me = Subject.MYSELF
    assert covers.set(me, Cause.LOCAL, True, "A")
    assert not covers.set(me, Cause.LOCAL, True, "A")
    assert covers.set(me, Cause.DIRECTIVE, True, "B")
    assert covers.set(me, Cause.LOCAL, False)
    assert covers.is_on(me) and not covers.is_on(me, Cause.LOCAL)
    covers.clear(me)
    assert not covers.is_on(me)
    assert told == [
        (me, True, Cause.LOCAL, "A"),
        (me, True, Cause.DIRECTIVE, "B"),
        (me, False, Cause.DIRECTIVE, "B"),
    ]


def test_events_are_one_json_object_a_line() -> None:
    out = io.StringIO()
    Report(JsonSink(out)).error("CODE", "REASON", "field", "ünï\n")
    event = json.loads(out.getvalue())
    assert event == {
        "event": "error",
        "code": "CODE",
        "reason": "REASON",
        "field": "field",
        "message": "ünï\n",
    }
    assert out.getvalue().count("\n") == 1
    out.close()
    Report(JsonSink(out)).presence("AWAY")


def test_people_read_short_lines_and_no_markup_is_obeyed() -> None:
    out = io.StringIO()
    sink = RichSink(Console(file=out, width=200, highlight=False))
    matched = Matched(
        "m", "p", (Explanation("INTERESTS", 0.5, ""),), True, Statement("k", b"", b"")
    )
    Report(sink).matched(matched)
    Report(sink).presence("[red]")
    Report(sink).media(1, 2, 3, 4)
    assert "reasons=INTERESTS" in out.getvalue()
    assert "[red]" in out.getvalue()
    assert "media" not in out.getvalue()


async def test_lines_of_a_file_wait_for_an_open_conversation() -> None:
    class Talk:
        is_open = False

    class Listener:
        def __init__(self) -> None:
            self.meeting: Any = None
            self.heard: list[Say] = []

        def command(self, line: Say) -> None:
            self.heard.append(line)

    clock, device = ManualClock(), Listener()
    lines = [Say("1", "a"), Say("2", "b")]
    task = asyncio.create_task(say_all(lines, device, clock))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await clock.advance(10)
    assert device.heard == []
    device.meeting = Talk()
    device.meeting.is_open = True
    await clock.advance(10)
    assert device.heard == lines
    await task


def test_an_output_that_fails_is_left_out(tmp_path: Path) -> None:
    import numpy as np

    class Broken(NullOutput):
        def show(self, image: Any, at_s: float) -> None:
            raise OutputError("full", field="path")

    good = NullOutput()
    screen = Screen([Broken(), good])
    image = np.zeros((4, 4, 3), np.uint8)
    screen.show(image, 0.0)
    screen.show(image, 1.0)
    assert good.shown == 2
    assert str(screen.problem) == "full"
    screen.close()
    assert good.closed
    screens = Screens(read_settings({"source": "x", "record": tmp_path / "r.mp4"}))
    assert screens.my_address.startswith("http://127.0.0.1:")
    screens.close()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"endpoint": "nowhere"}, "endpoint"),
        ({"moderation_endpoint": "h:0"}, "moderation_endpoint"),
        ({"languages": "english"}, "languages"),
        ({"country": "Korea"}, "country"),
        ({"age_band": "old"}, "age_band"),
        ({"subject": "a b"}, "subject"),
        ({"size": "big"}, "size"),
        ({"fps": 0}, "fps"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsRefused) as refused:
        read_settings({"source": "x", **given})
    assert refused.value.field == field


def test_settings_come_from_the_environment_below_the_command_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INYEON_EDGE_COUNTRY", "ES")
    monkeypatch.setenv("INYEON_EDGE_FPS", "10")
    monkeypatch.setenv("INYEON_MODELS_DIR", "/models")
    settings = read_settings({"source": "x", "fps": 20, "matching_endpoint": "m:1", "name": None})
    assert (settings.country, settings.fps, settings.width, settings.height) == ("ES", 20, 320, 240)
    assert settings.models_dir == Path("/models")
    assert settings.endpoint_of("matching") == "m:1"
    assert settings.endpoint_of("gateway") == "127.0.0.1:7400"
    monkeypatch.setenv("INYEON_EDGE_COUNTY", "ES")
    with pytest.raises(SettingsRefused) as refused:
        read_settings({"source": "x"})
    assert refused.value.field == "INYEON_EDGE_COUNTY"


def test_the_command_ends_with_2_and_one_line_for_a_wrong_setting() -> None:
    result = CliRunner().invoke(app, ["run", "--source", "x", "--endpoint", "bad", "--json"])
    assert result.exit_code == 2
    assert json.loads(result.output)["field"] == "endpoint"
    assert run_with({"source": "x", "endpoint": "bad"}) == 2
    assert "Usage" in CliRunner().invoke(app, ["run", "--help"]).output


async def test_polls_are_bounded() -> None:
    with pytest.raises(TimeoutError):
        await until(lambda: False, 0.05)
    assert ListSink().of("x") == []
