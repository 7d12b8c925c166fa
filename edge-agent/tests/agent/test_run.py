"""The whole agent in this process, on real models and drawings, against a small gRPC platform."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from inyeon_edge.agent import run as running
from inyeon_edge.agent.report import ListSink, Report
from inyeon_edge.agent.run import run_agent
from inyeon_edge.cli import run_with
from inyeon_edge.settings import read_settings
from inyeon_protos.moderation.v1 import safety_pb2

from .conftest import SmallPlatform, models_dir, until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.engine("onnxruntime"),
    pytest.mark.engine("litert"),
    pytest.mark.engine("grpc"),
]


def settings_of(folder: Path, endpoint: str, **more: Any) -> Any:
    return read_settings(
        {
            "source": str(models_dir() / "clips" / "astronaut.png"),
            "endpoint": endpoint,
            "data_dir": folder,
            "models_dir": models_dir(),
            "subject": "device-t",
            "name": "Rose",
            **more,
        }
    )


async def test_from_looking_to_a_match_and_a_clean_stop(
    tmp_path: Path, platform: tuple[SmallPlatform, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    services, endpoint = platform
    chat = tmp_path / "chat.txt"
    chat.write_text("hello\n\nhow are you?\n", "utf-8")
    given, commands = os.pipe()
    monkeypatch.setattr(running, "STDIN", given)
    sink = ListSink()
    settings = settings_of(
        tmp_path, endpoint, interests="hiking", commands=True, chat=chat, record=tmp_path / "r.mp4"
    )
    agent = asyncio.create_task(run_agent(settings, Report(sink)))
    await until(lambda: ("wish" in services.sought and len(services.windows) >= 2) or agent.done())
    assert sink.of("started")[0]["preview"].startswith("http://127.0.0.1:")
    services.match()
    os.write(commands, b'{"do":"say","text":"hola","id":"s1"}\nnonsense\n{"do":"stats"}\n')
    await until(lambda: len(services.said) == 3 and len(sink.of("said")) == 3)
    assert sink.of("error")[0]["reason"] == "NOT_JSON"
    assert sink.of("stats")[0]["rss_mb"] > 0
    order = safety_pb2.Directive(
        action=safety_pb2.DIRECTIVE_ACTION_PROTECT,
        subject=safety_pb2.OBSERVED_SUBJECT_MYSELF,
        reason="R",
    )
    services.to_observe.put_nowait(safety_pb2.ObserveResponse(directive=order))
    await until(lambda: bool(sink.of("told")) and services.windows[-1].covered)
    os.write(commands, b'{"do":"switch","source":"drawn:empty-room"}\n{"do":"leave"}\n')
    await until(lambda: bool(sink.of("match_over")))
    os.close(commands)
    await asyncio.wait_for(agent, 6)
    os.close(given)
    assert services.tokens == {
        f"Bearer token-{each}" for each in ("moderation", "matching", "translation", "gateway")
    }
    assert {"grant"} <= set(services.signals)
    assert sink.of("matched")[0]["partner_id"] == "other"
    assert sink.of("call")[0]["state"] == "connecting"
    assert sink.of("match_over")[0]["reason"] == "LEFT"
    assert (tmp_path / "r.mp4").stat().st_size > 0


async def test_without_a_platform_effects_go_on_and_sigterm_stops(tmp_path: Path) -> None:
    sink = ListSink()
    settings = settings_of(tmp_path, "127.0.0.1:1", interests="hiking", preview_port=-1)
    agent = asyncio.create_task(run_agent(settings, Report(sink)))
    await until(lambda: (bool(sink.of("presence")) and bool(sink.of("error"))) or agent.done())
    assert sink.of("error")[0]["code"] == "UNAVAILABLE"
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(agent, 6)


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_a_clip_that_cannot_be_read_ends_with_code_2(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(content)
    given = {
        "source": str(clip),
        "models_dir": models_dir(),
        "data_dir": tmp_path,
        "json_events": True,
        "preview_port": -1,
    }
    assert run_with(given) == 2
    assert '"reason":"SOURCE_UNDECODABLE"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"source": "drawn:nothing"}, "SOURCE_UNKNOWN"),
        ({"source": "drawn:empty-room", "models_dir": Path("/nowhere")}, "MODEL_MISSING"),
        ({"source": "drawn:empty-room", "chat": Path("/nowhere")}, "CHAT_UNREADABLE"),
        ({"source": "drawn:empty-room", "data_dir": Path("/dev/null")}, "RING_UNUSABLE"),
    ],
)
def test_what_cannot_start_says_why_and_ends_with_code_2(
    tmp_path: Path, given: dict[str, Any], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    common = {"models_dir": models_dir(), "data_dir": tmp_path, "json_events": True}
    assert run_with({**common, **given}) == 2
    assert f'"reason":"{reason}"' in capsys.readouterr().out
