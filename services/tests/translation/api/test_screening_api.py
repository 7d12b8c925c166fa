"""Two devices under the real model: marks over gRPC, escalations in the log, not a word on disk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from inyeon.inference.text_model import FILES, missing
from inyeon.runtime.errors import SettingsRefused
from inyeon.runtime.log.topics import ESCALATIONS
from inyeon.translation.data import SCREEN_POLICY
from inyeon.translation.settings import TranslationSettings
from inyeon_protos.events.v1.events_pb2 import EscalationRaised
from inyeon_protos.translation.v1 import translation_pb2 as pb

pytestmark = [pytest.mark.integration, pytest.mark.engine("onnxruntime")]

REPOSITORY = Path(__file__).parents[4]
MODELS = Path(os.environ.get("INYEON_MODELS_DIR", REPOSITORY / "build" / "models"))
INSULT = "you stupid idiot Quuxfrobnicator"

Make = Callable[[Any, str], Awaitable[Any]]
Serve = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture
def strict(tmp_path: Path) -> TranslationSettings:
    """The shipped model under a policy that masks and tells of mild insults too."""
    if absent := missing(MODELS):
        reason = f"no {absent[0]} in {MODELS}: run inyeon-models build"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    policy = yaml.safe_load(SCREEN_POLICY.read_text("utf-8"))
    rule = {"reason": "TEXT_INSULT", "classes": ["hate", "offensive"]}
    policy["rules"] = [rule | {"mask": 0.6, "escalate": 0.6}]
    path = tmp_path / "strict.yaml"
    path.write_text(yaml.safe_dump(policy), "utf-8")
    return TranslationSettings(apertium=False, models_dir=MODELS, screen_policy=path)


@pytest.fixture
async def pair(
    strict: TranslationSettings, serve: Serve, talker: Make, tmp_path: Path
) -> AsyncIterator[tuple[Any, Any, Any]]:
    async with serve(tmp_path / "platform", strict) as platform:
        ana, luis = await talker(platform, "ana"), await talker(platform, "luis")
        await ana.grant("m1", "luis", speaks=("en",), hears=("es",))
        await luis.grant("m1", "ana", speaks=("es",), hears=("en",))
        await settled(lambda: ana.acknowledged == 1 and luis.acknowledged == 1)
        yield platform, ana, luis


async def settled(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not holds():  # noqa: ASYNC110 - bounded polling of another process's effect
            await asyncio.sleep(0.01)


async def escalations(platform: Any, count: int) -> list[Any]:
    """Records of the topic, once there are so many."""
    reader = await platform.ground.log.read_all([ESCALATIONS])
    records: list[Any] = []
    try:
        async with asyncio.timeout(15):
            while len(records) < count:
                records += await reader.poll(100, 0.1)
    finally:
        await reader.close()
    return records


async def test_captions_are_marked_and_a_flag_reaches_the_log(pair: tuple[Any, Any, Any]) -> None:
    platform, ana, luis = pair
    await ana.say("Good morning!")
    await ana.say(INSULT)
    await settled(lambda: len(luis.texts()) == 2)
    clear, rude = luis.captions
    assert (clear.text, clear.screen) == ("¡Buenos días!", pb.SCREEN_CLEAR)
    assert (rude.text, rude.screen) == (INSULT, pb.SCREEN_SENSITIVE)
    assert rude.screen_reason == "TEXT_INSULT"
    (record,) = await escalations(platform, 1)
    told = EscalationRaised.FromString(record.value)
    assert record.key == "session-ana" == told.session_id
    assert (told.user_id, told.match_id, told.reason) == ("ana", "m1", "TEXT_INSULT")
    assert list(told.text.classes) == ["hate", "offensive", "neither"]
    assert sum(told.text.scores) == pytest.approx(1.0, abs=1e-5)
    assert told.text.scores[2] < 0.4 and told.policy_version.startswith("1+")


async def test_no_word_of_a_flagged_sentence_is_written_anywhere(
    pair: tuple[Any, Any, Any],
) -> None:
    """Every byte under the data folder: databases, their journals, the log."""
    platform, ana, luis = pair
    await ana.say(INSULT)
    await settled(lambda: len(luis.texts()) == 1)
    await escalations(platform, 1)
    files = [path for path in platform.ground.data_dir.rglob("*") if path.is_file()]
    found = {path.name: path.read_bytes() for path in files}
    assert any(b"TEXT_INSULT" in content for content in found.values())
    for word in (b"Quuxfrobnicator", b"quuxfrobnicator", b"stupid", b"idiot"):
        assert not [name for name, content in found.items() if word in content]


async def test_the_metrics_tell_of_both_sides(pair: tuple[Any, Any, Any]) -> None:
    platform, ana, luis = pair
    await ana.say("Good morning!")
    await ana.say(INSULT)
    await settled(lambda: len(luis.texts()) == 2)
    async with httpx.AsyncClient() as client:
        page = await client.get(f"http://127.0.0.1:{platform.ports.http}/metrics")
    shown = page.text
    assert "inyeon_translation_screen_on 1.0" in shown
    assert 'inyeon_translation_screened_total{outcome="mask",side="original"} 1.0' in shown
    assert 'inyeon_translation_screened_total{outcome="allow",side="translation"} 1.0' in shown
    assert 'inyeon_translation_escalations_total{outcome="committed"} 1.0' in shown
    assert "idiot" not in shown


async def test_development_goes_on_without_the_model_and_says_so(
    serve: Serve, talker: Make, tmp_path: Path
) -> None:
    settings = TranslationSettings(apertium=False, models_dir=tmp_path / "nothing")
    async with serve(tmp_path / "platform", settings) as platform:
        ana, luis = await talker(platform, "ana"), await talker(platform, "luis")
        await ana.grant("m1", "luis")
        await luis.grant("m1", "ana", speaks=("es",), hears=("en",))
        await ana.say(INSULT)
        await settled(lambda: bool(luis.texts()))
        caption = luis.captions[0]
        assert (caption.screen, caption.screen_reason) == (pb.SCREEN_UNSCREENED, "ABSENT")
        async with httpx.AsyncClient() as client:
            page = await client.get(f"http://127.0.0.1:{platform.ports.http}/metrics")
        assert "inyeon_translation_screen_on 0.0" in page.text


async def test_an_operator_without_a_screen_claims_nothing(
    serve: Serve, talker: Make, tmp_path: Path
) -> None:
    settings = TranslationSettings(apertium=False, models_dir=MODELS, screen=False)
    async with serve(tmp_path / "platform", settings) as platform:
        ana, luis = await talker(platform, "ana"), await talker(platform, "luis")
        await ana.grant("m1", "luis")
        await luis.grant("m1", "ana", speaks=("es",), hears=("en",))
        await ana.say(INSULT)
        await settled(lambda: bool(luis.texts()))
        assert (luis.captions[0].text, luis.captions[0].screen) == (INSULT, pb.SCREEN_UNSPECIFIED)


async def test_a_policy_for_another_model_stops_the_start(
    strict: TranslationSettings, serve: Serve, tmp_path: Path
) -> None:
    text = strict.screen_policy.read_text("utf-8").replace("model_version: 1-", "model_version: 2-")
    strict.screen_policy.write_text(text, "utf-8")
    with pytest.raises(SettingsRefused, match="the model is text-safety-head"):
        async with serve(tmp_path / "platform", strict):
            pass


async def test_a_broken_model_stops_the_start_in_development_too(
    strict: TranslationSettings, serve: Serve, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in FILES[:-1]:
        (folder / name).symlink_to(MODELS / name)
    (folder / "text_safety_head.npz").write_bytes(b"PK\x03\x04")
    broken = strict.model_copy(update={"models_dir": folder})
    with pytest.raises(SettingsRefused, match=r"text_safety_head\.npz"):
        async with serve(tmp_path / "platform", broken):
            pass


async def test_production_refuses_to_start_without_the_model(tmp_path: Path) -> None:
    from prometheus_client import CollectorRegistry

    from inyeon.translation.adapters.metrics import PrometheusObserver
    from inyeon.translation.adapters.screen_policy import read_screen_policy
    from inyeon.translation.bootstrap import text_screen

    settings = TranslationSettings(models_dir=tmp_path)
    policy, observer = read_screen_policy(SCREEN_POLICY), PrometheusObserver(CollectorRegistry())
    with pytest.raises(SettingsRefused) as refused:
        await text_screen(settings, policy, observer, development=False)
    assert refused.value.reason == "NO_MODELS"
    off = settings.model_copy(update={"screen": False})
    assert await text_screen(off, policy, observer, development=False) is None
