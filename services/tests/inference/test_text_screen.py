"""The text screen around a model: memory, one flight for one text, bounds, budgets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from inyeon.inference import text as module
from inyeon.inference.errors import ModelFailed
from inyeon.inference.text import InProcessTextScreen, ScriptedTextScreen, TextScreen
from inyeon.inference.text_model import NAME
from inyeon.runtime.errors import DeadlineExceeded, InvalidRequest, Overloaded

pytestmark = pytest.mark.unit

HARMLESS = (0.0, 0.0, 1.0)
RUDE = (0.25, 0.5, 0.25)
BUDGET_S = 10.0


class SlowModel:
    """A model that waits for a gate and remembers what it was asked."""

    classes = ("hate", "offensive", "neither")
    version = "7"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.broken = False

    def scores(self, text: str) -> tuple[float, ...]:
        self.asked.append(text)
        assert self.gate.wait(BUDGET_S)
        if self.broken:
            raise ModelFailed("broken")
        return RUDE if "idiot" in text else HARMLESS


@pytest.fixture
def model() -> SlowModel:
    return SlowModel()


@pytest.fixture
async def screen(model: SlowModel) -> AsyncIterator[InProcessTextScreen]:
    screen = InProcessTextScreen(model, remembered=2)
    yield screen
    model.gate.set()
    await screen.close()
    await screen.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(BUDGET_S):
        while not holds():  # noqa: ASYNC110 - bounded polling of a thread's effect
            await asyncio.sleep(0.005)


async def test_a_text_is_scored_by_name(screen: InProcessTextScreen) -> None:
    found = await screen.screen("You IDIOT!", "en", BUDGET_S)
    assert (found.model, found.version, found.scores) == (NAME, "7", RUDE)
    assert found.classes == ("hate", "offensive", "neither")


async def test_what_means_the_same_is_asked_once(
    screen: InProcessTextScreen, model: SlowModel
) -> None:
    for text in ("you idiot", "  YOU\tidiot ", "@rose you idiot https://example.org/?q=1"):
        await screen.screen(text, "", BUDGET_S)
    assert model.asked == ["you idiot"]


async def test_the_oldest_is_forgotten(screen: InProcessTextScreen, model: SlowModel) -> None:
    for text in ("one", "two", "one", "three", "one", "two"):
        await screen.screen(text, "en", BUDGET_S)
    assert model.asked == ["one", "two", "three", "two"]


async def test_callers_at_once_share_one_look(
    screen: InProcessTextScreen, model: SlowModel
) -> None:
    model.gate.clear()
    calls = [asyncio.create_task(screen.screen("you idiot", "en", BUDGET_S)) for _ in range(5)]
    await until(lambda: bool(model.asked))
    model.gate.set()
    assert {found.scores for found in await asyncio.gather(*calls)} == {RUDE}
    assert model.asked == ["you idiot"]


async def test_a_caller_without_time_leaves_the_others_alone(
    screen: InProcessTextScreen, model: SlowModel
) -> None:
    model.gate.clear()
    patient = asyncio.create_task(screen.screen("you idiot", "en", BUDGET_S))
    with pytest.raises(DeadlineExceeded):
        await screen.screen("you idiot", "en", 0.01)
    with pytest.raises(DeadlineExceeded):
        await screen.screen("you idiot", "en", 0.0)
    model.gate.set()
    assert (await patient).scores == RUDE
    assert model.asked == ["you idiot"]


async def test_the_queue_is_bounded(
    screen: InProcessTextScreen, model: SlowModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_QUEUED", 2)
    model.gate.clear()
    waiting = [asyncio.create_task(screen.screen(text, "en", BUDGET_S)) for text in ("a", "b")]
    await until(lambda: bool(model.asked))
    with pytest.raises(Overloaded):
        await screen.screen("c", "en", BUDGET_S)
    model.gate.set()
    await asyncio.gather(*waiting)
    assert (await screen.screen("c", "en", BUDGET_S)).scores == HARMLESS


async def test_a_model_that_fails_is_asked_again(
    screen: InProcessTextScreen, model: SlowModel
) -> None:
    model.broken = True
    with pytest.raises(ModelFailed):
        await screen.screen("you idiot", "en", BUDGET_S)
    model.broken = False
    assert (await screen.screen("you idiot", "en", BUDGET_S)).scores == RUDE


async def test_a_failure_that_nobody_waits_for_disturbs_nobody(
    screen: InProcessTextScreen, model: SlowModel
) -> None:
    model.gate.clear()
    model.broken = True
    with pytest.raises(DeadlineExceeded):
        await screen.screen("you idiot", "en", 0.01)
    model.gate.set()
    model.broken = False
    await until(lambda: not screen._flights)


@pytest.mark.parametrize("text", ["", " \n", "@rose", "https://example.org/you-idiot", "😀 12 !"])
async def test_nothing_to_look_at_is_harmless(
    screen: InProcessTextScreen, model: SlowModel, text: str
) -> None:
    assert (await screen.screen(text, "en", BUDGET_S)).scores == HARMLESS
    assert not model.asked


async def both(model: SlowModel) -> list[TextScreen]:
    return [InProcessTextScreen(model), ScriptedTextScreen({"idiot": RUDE})]


async def test_every_screen_refuses_the_same(model: SlowModel) -> None:
    for screen in await both(model):
        for text, language, reason in (
            ("hello", "hi", "LANGUAGE_UNKNOWN"),
            ("a" * (module.MAX_CHARS + 1), "en", "TEXT_TOO_LONG"),
        ):
            with pytest.raises(InvalidRequest) as refused:
                await screen.screen(text, language, BUDGET_S)
            assert refused.value.reason == reason
        with pytest.raises(DeadlineExceeded):
            await screen.screen("hello", "en", 0.0)
        assert (await screen.screen("You idiot", "", BUDGET_S)).scores == RUDE
        assert (await screen.screen("hello", "en", BUDGET_S)).scores == HARMLESS
        assert screen.model == NAME and screen.classes[-1] == "neither" and screen.version
        await screen.close()


async def test_the_script_raises_what_it_is_told() -> None:
    screen = ScriptedTextScreen({"late": DeadlineExceeded("late")})
    with pytest.raises(DeadlineExceeded):
        await screen.screen("too late", "en", BUDGET_S)
    assert screen.asked == [("too late", "en")]


async def test_half_a_surrogate_pair_is_a_text_too(screen: InProcessTextScreen) -> None:
    assert (await screen.screen("idiot \ud800", "en", BUDGET_S)).scores == RUDE
