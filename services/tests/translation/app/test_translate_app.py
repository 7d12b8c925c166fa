"""The way of a text, with engines that work, fail, lie and hang."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from inyeon.runtime.clock import ManualClock, SystemClock
from inyeon.translation.app.cache import AnswerCache, Key
from inyeon.translation.app.ports import Engine
from inyeon.translation.app.tiers import OPEN_AFTER, OPEN_S, Tiers
from inyeon.translation.app.translate import Task, Translator
from inyeon.translation.data import read_phrasebook
from inyeon.translation.domain.answers import EngineAnswer, Tier
from inyeon.translation.errors import EngineRefused, EngineUnavailable

pytestmark = pytest.mark.unit


BOOK = read_phrasebook()


class Notes:
    """Observer that remembers."""

    def __init__(self) -> None:
        self.seen: Counter[tuple[str, ...]] = Counter()

    def answered(self, tier: str, pair: str, seconds: float) -> None:
        self.seen["answered", tier, pair] += 1

    def refused(self, tier: str, reason: str) -> None:
        self.seen["refused", tier, reason] += 1

    def cached(self, hit: bool) -> None:
        self.seen["cached", str(hit)] += 1

    def caption(self, event: str) -> None:
        self.seen["caption", event] += 1


class Guess:
    """Identifier that knows English from Spanish by a few letters."""

    def scores(self, text: str) -> Mapping[str, float]:
        spanish = sum(text.casefold().count(letter) for letter in "ñáéíóúo¿")
        return {"en": -float(spanish), "es": -2.0}


class FakeEngine:
    """Answers as it is told to."""

    def __init__(
        self,
        answer: Callable[[str], str],
        tier: Tier = Tier.APERTIUM,
        version: str = "fake-1",
    ) -> None:
        self._answer = answer
        self.tier = tier
        self.version = version
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def routes(self) -> frozenset[tuple[str, str]]:
        return frozenset({("en", "es"), ("es", "en")})

    async def translate(
        self, text: str, source: str, target: str, deadline_s: float
    ) -> EngineAnswer:
        self.asked.append(text)
        await self.gate.wait()
        return EngineAnswer(self._answer(text), 0.7)


def made(
    *engines: Engine, clock: SystemClock | ManualClock | None = None
) -> tuple[Translator, Notes]:
    notes, clock = Notes(), clock or SystemClock()
    tiers = Tiers(engines, AnswerCache(100, notes.cached), clock, notes)
    return Translator(BOOK, tiers, Guess(), clock, notes), notes


def to_spanish(text: str) -> str:
    return f"El {text}"


def task(text: str, **other: object) -> Task:
    facts: dict[str, object] = {"understood": ("es",), "spoken": ("en",), "names": ("Rose",)}
    return Task(text, **(facts | other))  # type: ignore[arg-type]


async def test_phrases_need_no_engine() -> None:
    translator, _ = made()
    found = await translator.translate(task("Hiii! How are you? 😊"))
    assert (found.text, found.tier, found.untranslated) == (
        "¡Hola! ¿Cómo estás? 😊",
        Tier.PHRASEBOOK,
        False,
    )


async def test_an_engine_sees_tokens_and_the_reader_sees_names() -> None:
    engine = FakeEngine(to_spanish)
    translator, notes = made(engine)
    found = await translator.translate(task("Rose knows https://example.org/x now"))
    assert engine.asked == ["XQN0 knows XQL1 now"]
    assert found.text == "El Rose knows https://example.org/x now"
    assert (found.tier, found.quality) == (Tier.APERTIUM, 0.7)
    assert notes.seen["answered", "apertium", "en-es"] == 1


async def test_sentences_go_their_own_ways_and_gaps_stay() -> None:
    translator, _ = made(FakeEngine(to_spanish))
    found = await translator.translate(task("  Thank you!\nThe dog sleeps.  Haha "))
    assert found.text == "  ¡Gracias!\nEl The dog sleeps.  Haha "
    assert found.tier is Tier.APERTIUM and 0.7 < found.quality < 0.95


@pytest.mark.parametrize("text", ["😀", "hahaha", "Rose", "https://example.org", "12:30", "   "])
async def test_no_language_passes(text: str) -> None:
    translator, _ = made()
    found = await translator.translate(task(text))
    assert (found.text, found.source, found.tier, found.untranslated) == (
        text,
        "",
        Tier.NONE,
        False,
    )


async def test_a_language_that_the_reader_understands_passes() -> None:
    translator, _ = made()
    found = await translator.translate(task("Buenos días", understood=("en", "es")))
    assert (found.text, found.source, found.target) == ("Buenos días", "es", "es")


async def test_the_caller_may_know_the_source() -> None:
    translator, _ = made(FakeEngine(to_spanish))
    found = await translator.translate(Task("The ñandú sleeps", ("es",), source="en"))
    assert found.source == "en" and found.tier is Tier.APERTIUM


def failing(error: Exception) -> Callable[[str], str]:
    def answer(_: str) -> str:
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (failing(EngineUnavailable("gone")), "unavailable"),
        (failing(EngineRefused("unknown-words")), "unknown-words"),
        (lambda text: "", "empty"),
        (lambda text: text, "copy"),
        (lambda text: "perro", "tokens"),
        (lambda text: f"{text} #mal", "marks"),
    ],
)
async def test_what_does_not_hold_is_shown_untranslated(
    answer: Callable[[str], str], reason: str
) -> None:
    translator, notes = made(FakeEngine(answer))
    found = await translator.translate(task("Rose has a dog. Thank you!"))
    assert (found.text, found.untranslated, found.quality) == (
        "Rose has a dog. Thank you!",
        True,
        0,
    )
    assert notes.seen["refused", "apertium", reason] == 1
    assert notes.seen["answered", "untranslated", "en-es"] == 1


async def test_the_next_tier_answers_where_the_first_one_does_not() -> None:
    second = FakeEngine(to_spanish, Tier.CTRANSLATE2, "second-1")
    translator, _ = made(FakeEngine(lambda text: text), second)
    assert (await translator.translate(task("A dog sleeps"))).tier is Tier.CTRANSLATE2


async def test_a_hanging_engine_costs_its_deadline_only() -> None:
    engine = FakeEngine(to_spanish)
    engine.gate.clear()
    translator, notes = made(engine)
    found = await asyncio.wait_for(translator.translate(task("A dog", deadline_s=0.05)), 5)
    assert found.untranslated and notes.seen["refused", "apertium", "unavailable"] == 1
    # No time left: the engine is not even asked.
    assert (await translator.translate(task("A cat", deadline_s=0))).untranslated
    assert len(engine.asked) == 1


async def test_the_breaker_leaves_a_broken_engine_alone_and_tries_again() -> None:
    clock = ManualClock()
    engine = FakeEngine(failing(EngineUnavailable("gone")))
    translator, notes = made(engine, clock=clock)
    for number in range(OPEN_AFTER + 2):
        await translator.translate(task(f"A dog sleeps {number}"))
    assert len(engine.asked) == OPEN_AFTER
    assert notes.seen["refused", "apertium", "breaker"] == 2
    await clock.advance(OPEN_S)
    engine._answer = to_spanish
    assert not (await translator.translate(task("A dog wakes"))).untranslated
    assert not (await translator.translate(task("A dog eats"))).untranslated


async def test_the_same_sentence_is_asked_once_even_with_other_names() -> None:
    engine = FakeEngine(to_spanish)
    engine.gate.clear()
    translator, notes = made(engine)
    asked = [
        asyncio.create_task(translator.translate(task(f"{name} sleeps here", names=(name,))))
        for name in ("Rose", "Will", "Joy")
    ]
    while not engine.asked:  # noqa: ASYNC110 - turns of the loop, not time
        await asyncio.sleep(0)
    engine.gate.set()
    texts = [found.text for found in await asyncio.gather(*asked)]
    assert texts == [f"El {name} sleeps here" for name in ("Rose", "Will", "Joy")]
    await translator.translate(task("Rose sleeps here"))
    assert engine.asked == ["XQN0 sleeps here"] and notes.seen["cached", "True"] == 1


async def test_the_cache_forgets_the_oldest_and_failures() -> None:
    cache = AnswerCache(1)

    async def good() -> EngineAnswer:
        return EngineAnswer("x", 1)

    async def bad() -> EngineAnswer:
        raise EngineUnavailable("gone")

    one, two = Key("1", "en", "es", "e"), Key("2", "en", "es", "e")
    await cache.get(one, good)
    await cache.get(two, good)
    assert len(cache) == 1
    with pytest.raises(EngineUnavailable):
        await cache.get(one, bad)
    assert (await cache.get(two, bad)).text == "x"
    await cache.close()


async def test_a_caller_who_leaves_does_not_end_the_others_request() -> None:
    cache, gate = AnswerCache(10), asyncio.Event()

    async def slow() -> EngineAnswer:
        await gate.wait()
        return EngineAnswer("x", 1)

    key = Key("1", "en", "es", "e")
    first = asyncio.create_task(cache.get(key, slow))
    second = asyncio.create_task(cache.get(key, slow))
    await asyncio.sleep(0)
    first.cancel()
    gate.set()
    assert (await second).text == "x"
    gate.clear()
    forever = asyncio.create_task(cache.get(Key("3", "en", "es", "e"), slow))
    await asyncio.sleep(0)
    await cache.close()
    with pytest.raises(asyncio.CancelledError):
        await forever


def liar(seed: int) -> Callable[[str], str]:
    """An engine that does anything to a text."""

    def answer(text: str) -> str:
        draw = random.Random(f"{seed}{text}")
        words = text.split(" ")
        match draw.randrange(9):
            case 0:
                return ""
            case 1:
                return " ".join(words * draw.randrange(5))
            case 2:
                return "".join(draw.sample(text, len(text)))
            case 3:
                raise EngineUnavailable("gone")
            case 4:
                raise EngineRefused("no")
            case 5:
                return text[: draw.randrange(len(text) + 1)]
            case 6:
                return "*#@ " + text
            case 7:
                return " ".join(draw.sample(words, len(words)))
            case _:
                return f"XQN{draw.randrange(4)} {text}"

    return answer


async def test_two_thousand_texts_are_never_empty_and_lose_nothing() -> None:
    draw = random.Random(11)
    parts = [
        "Rose", "@ana", "https://example.org/?q=ñ", "👩‍👩‍👧", "$5.50", "hello", "the dog",
        "안녕", "はい。", "¿qué?", "*", "#", "XQN0", "XQ", "\n", "12", "...", "\u202e",
        "a" * 450, "Joy", "haha",
    ]  # fmt: skip
    kept = [part for part in parts if part in ("Rose", "@ana", "Joy") or "example" in part]
    for seed in range(2_000):
        text = " ".join(draw.choice(parts) for _ in range(draw.randrange(1, 8)))
        translator, _ = made(FakeEngine(liar(seed)))
        names = ("Rose", "Joy")
        found = await translator.translate(task(text, names=names))
        assert found.text and (found.text.strip() or not text.strip())
        assert all(found.text.count(part) >= text.count(part) for part in kept)
        assert found.text == text or not found.untranslated


@pytest.mark.parametrize(
    ("text", "pair", "language"),
    [
        ("안녕하세요", ("en", "es"), "ko"),
        ("gracias", ("en", "es"), "es"),
        ("no", ("en", "es"), "en"),
        ("haha 😀", ("en", "es"), ""),
    ],
)
def test_detect(text: str, pair: tuple[str, ...], language: str) -> None:
    translator, _ = made()
    assert translator.detect(text, pair).language == language
