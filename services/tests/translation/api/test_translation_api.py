"""Translate, Detect, the routes page, with and without Apertium; what must not be written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from inyeon.runtime.errors import SettingsRefused
from inyeon.runtime.store.migrating import migration_differences, migrations_of
from inyeon.translation.adapters.key import caption_key
from inyeon.translation.adapters.tables import TABLES
from inyeon.translation.data import demo_lines
from inyeon.translation.settings import TranslationSettings
from inyeon_protos.translation.v1 import translation_pb2 as pb
from inyeon_protos.translation.v1 import translation_pb2_grpc

pytestmark = [pytest.mark.integration, pytest.mark.engine("grpc")]

Make = Callable[[Any, str], Awaitable[Any]]
SECRET = "zwiebelkuchen"  # a word that nobody else writes


async def settled(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not holds():  # noqa: ASYNC110 - bounded polling of another task's effect
            await asyncio.sleep(0.01)


def stub_of(platform: Any) -> Any:
    return translation_pb2_grpc.TranslationServiceStub(platform.channel)


async def translate(platform: Any, text: str, **other: Any) -> pb.TranslateResponse:
    request = pb.TranslateRequest(text=text, target_language=other.pop("target", "es"), **other)
    answer: pb.TranslateResponse = await stub_of(platform).Translate(
        request, metadata=platform.metadata("ana"), timeout=10
    )
    return answer


async def routes(platform: Any) -> Any:
    async with httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{platform.ports.http}"
        assert "inyeon_translation_answers_total" in (await client.get(f"{url}/metrics")).text
        return (await client.get(f"{url}/translation/routes")).json()


async def test_without_apertium(bare_platform: Any) -> None:
    said = await translate(bare_platform, "My name is Rose", names=["Rose"])
    assert (said.text, said.tier, said.source_language) == (
        "Me llamo Rose.",
        pb.TIER_PHRASEBOOK,
        "en",
    )
    unknown = await translate(bare_platform, "The dog sleeps under the table")
    assert unknown.untranslated and unknown.text == "The dog sleeps under the table"
    shown = await routes(bare_platform)
    assert shown["apertium"]["available"] is False and shown["apertium"]["reason"]


@pytest.mark.engine("apertium")
async def test_with_apertium(platform: Any, place: Any) -> None:
    said = await translate(platform, "Rose has a big house.", names=["Rose"])
    assert (said.text, said.tier) == ("Rose tiene una casa grande.", pb.TIER_APERTIUM)
    assert not said.untranslated and said.quality == pytest.approx(0.7)
    back = await translate(platform, "La casa es grande.", target="en")
    assert (back.text, back.source_language) == ("The house is big.", "es")
    shown = await routes(platform)
    assert shown["apertium"]["pipes"]["en-es"] == "running"
    assert "en-es" in shown["tiers"]["apertium"]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.engine("apertium")
async def test_demo_lines_are_translated_by_the_engine(
    platform: Any, place: Any, seed: int
) -> None:
    lines = demo_lines(seed, 6)
    for target, texts in (("es", [en for en, _ in lines]), ("en", [es for _, es in lines])):
        source = "en" if target == "es" else "es"
        answers = [
            await translate(platform, text, target=target, source_language=source) for text in texts
        ]
        assert sum(a.tier == pb.TIER_APERTIUM and not a.untranslated for a in answers) >= 4


@pytest.mark.parametrize(
    ("text", "candidates", "language"),
    [("안녕", [], "ko"), ("hahaha", [], ""), ("gracias", ["en", "es"], "es")],
)
async def test_detect(bare_platform: Any, text: str, candidates: list[str], language: str) -> None:
    request = pb.DetectRequest(text=text, candidates=candidates)
    found = await stub_of(bare_platform).Detect(
        request, metadata=bare_platform.metadata("ana"), timeout=10
    )
    assert found.language == language


@pytest.mark.parametrize(
    ("request_", "method", "field"),
    [
        (pb.TranslateRequest(text="a", target_language="xx"), "Translate", "target_language"),
        (pb.TranslateRequest(text="", target_language="es"), "Translate", "text"),
        (pb.TranslateRequest(text="a" * 9000, target_language="es"), "Translate", "text"),
        (pb.DetectRequest(text="a", candidates=["en", "nl"]), "Detect", "candidates"),
    ],
)
async def test_bad_input_names_its_field(
    bare_platform: Any,
    request_: Any,
    method: str,
    field: str,
    refusal: Callable[[grpc.aio.AioRpcError], tuple[grpc.StatusCode, str, str]],
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(stub_of(bare_platform), method)(
            request_, metadata=bare_platform.metadata("ana"), timeout=10
        )
    code, _, named = refusal(caught.value)
    assert (code, named) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_what_people_say_is_written_nowhere(
    platform: Any,
    talker: Make,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    ana, luis = await talker(platform, "user-ana"), await talker(platform, "user-luis")
    await ana.grant("m1", "user-luis")
    await luis.grant("m1", "user-ana", speaks=("es",), hears=("en",))
    for text in (f"I eat {SECRET} today.", f"{SECRET} {SECRET} {SECRET}", "Good luck!"):
        await ana.say(text)
    await settled(lambda: len(luis.texts()) == 3)
    await platform.end_match("m1", "user-ana", "user-luis")
    await settled(lambda: bool(luis.overs))
    assert any(SECRET in text for text in luis.texts())
    async with httpx.AsyncClient() as client:
        metrics = (await client.get(f"http://127.0.0.1:{platform.ports.http}/metrics")).text
    said = capsys.readouterr()
    assert SECRET not in metrics + caplog.text + said.out + said.err
    assert "user-" not in metrics
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert len(files) >= 3
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_migrations_are_in_step_with_the_tables() -> None:
    assert migration_differences(TABLES, migrations_of("translation")) == []


def test_the_key_of_captions(tmp_path: Path) -> None:
    made = caption_key("", tmp_path / "data")
    assert len(made) == 32 and caption_key("", tmp_path / "data") == made
    assert (tmp_path / "data" / "caption-mac.key").stat().st_mode & 0o077 == 0
    assert caption_key("ab" * 32, tmp_path) == b"\xab" * 32
    for wrong in ("ab", "zz" * 32):
        with pytest.raises(SettingsRefused, match="32 bytes"):
            caption_key(wrong, tmp_path)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INYEON_TOOLS_DIR", "/tools")
    monkeypatch.setenv("INYEON_TRANSLATION_CACHE_SIZE", "7")
    settings = TranslationSettings()
    assert (settings.tools_dir, settings.cache_size) == (Path("/tools"), 7)
    monkeypatch.setenv("INYEON_TRANSLATION_CASHE", "1")
    with pytest.raises(SettingsRefused, match="CACHE_SIZE"):
        TranslationSettings()
