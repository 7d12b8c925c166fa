"""A revision's way through both screens, with a scripted screen and a translator that may lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.inference.errors import ModelFailed
from inyeon.inference.text import ScriptedTextScreen
from inyeon.runtime.clock import ManualClock
from inyeon.runtime.errors import DeadlineExceeded, InvalidRequest, Overloaded
from inyeon.translation.app.cache import AnswerCache
from inyeon.translation.app.captioning import Captioner, Said
from inyeon.translation.app.screening import ESCALATIONS, Flag, Screening
from inyeon.translation.app.tiers import Tiers
from inyeon.translation.app.translate import Translator
from inyeon.translation.app.typing_on import Revision
from inyeon.translation.data import read_phrasebook
from inyeon.translation.domain import mac
from inyeon.translation.domain.answers import EngineAnswer, Tier
from inyeon.translation.domain.conversation import Caption, Conversation, Grant
from inyeon.translation.domain.screening import (
    ARTEFACT,
    WITHHELD_TEXT,
    Action,
    Policy,
    Rule,
    Screen,
)

pytestmark = pytest.mark.unit

BOOK = read_phrasebook()
RUDE, HATEFUL, VILE = (0.1, 0.8, 0.1), (0.7, 0.2, 0.1), (0.95, 0.04, 0.01)
RULES = (
    Rule("TEXT_HATE", ("hate",), mask=0.5, withhold=0.9, escalate=0.6),
    Rule("TEXT_INSULT", ("hate", "offensive"), mask=0.8),
)
POLICY = Policy("1", "text-safety-head", "scripted", RULES)
SCRIPT: dict[str, tuple[float, ...] | Exception] = {
    "idiot": RUDE,
    "wretch": HATEFUL,
    "vermin": VILE,
    "slow": DeadlineExceeded("late"),
    "crowd": Overloaded("full"),
    "broken": ModelFailed("nan"),
    "strange": InvalidRequest("what", reason="SURPRISE"),
}


class Notes:
    """Observer, ScreenObserver, Flags and Identifier that remember."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.flags: list[Flag] = []
        self.store_away = False

    def answered(self, tier: str, pair: str, seconds: float) -> None: ...
    def refused(self, tier: str, reason: str) -> None: ...
    def cached(self, hit: bool) -> None: ...

    def caption(self, event: str) -> None:
        self.seen[event] += 1

    def screened(self, side: str, outcome: str, seconds: float) -> None:
        self.seen[f"{side} {outcome}"] += 1

    def escalated(self, outcome: str) -> None:
        self.seen[outcome] += 1

    async def raise_flag(self, flag: Flag) -> bool:
        self.flags.append(flag)
        return not self.store_away

    def scores(self, text: str) -> Mapping[str, float]:
        return {"en": 0.0, "es": -5.0}


class Engine:
    """Puts a word before each sentence; an insult of its own before what it misunderstands."""

    tier = Tier.APERTIUM
    version = "fake"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def routes(self) -> frozenset[tuple[str, str]]:
        return frozenset({("en", "es"), ("en", "id")})

    async def translate(
        self, text: str, source: str, target: str, deadline_s: float
    ) -> EngineAnswer:
        self.asked.append(text)
        return EngineAnswer(f"{'idiot' if 'muddle' in text else 'Digo:'} {text}", 0.7)


class Room:
    """One author who talks to one reader."""

    def __init__(
        self,
        reads: str = "es",
        policy: Policy = POLICY,
        *,
        screens: bool = True,
        wanted: bool = False,
    ) -> None:
        self.clock, self.notes, self.engine = ManualClock(), Notes(), Engine()
        self.screen = ScriptedTextScreen(SCRIPT)
        tiers = Tiers((self.engine,), AnswerCache(0), self.clock, self.notes)
        translator = Translator(BOOK, tiers, self.notes, self.clock, self.notes)
        screen = self.screen if screens else None
        screening = Screening(screen, policy, self.notes, self.clock, self.notes, wanted=wanted)
        self.captioner = Captioner(translator, screening, self.clock, self.notes, bytes(32))
        until = self.clock.now() + timedelta(seconds=120)
        self.side = Conversation(Grant("m", "ana", "luis", ("en",), (reads,), until))
        self.told = 0

    async def say(
        self, text: str, segment: str = "a", revision: int = 1, *, final: bool = True
    ) -> Caption | None:
        self.told += 1
        said = Revision(segment, revision, text, final)
        caption = await self.captioner.caption(Said(self.side, "s1", self.told, said))
        if caption is not None and not final:
            self.side.track(segment).went_out(caption.stable_text)
        return caption

    async def final(self, text: str, segment: str = "a", revision: int = 1) -> Caption:
        caption = await self.say(text, segment, revision)
        assert caption is not None
        return caption


@pytest.fixture
def room() -> Room:
    return Room()


async def test_an_ordinary_sentence_is_clear_and_looked_at_twice(room: Room) -> None:
    caption = await room.final("The train is here.")
    assert (caption.screen, caption.screen_reason) == (Screen.CLEAR, "")
    assert caption.text == "Digo: The train is here."
    assert room.screen.asked == [("The train is here.", "en"), (caption.text, "es")]
    assert room.notes.seen["original allow"] == room.notes.seen["translation allow"] == 1
    assert not room.notes.flags


async def test_an_insult_is_marked_and_keeps_its_text(room: Room) -> None:
    caption = await room.final("You are an idiot.")
    assert (caption.screen, caption.screen_reason) == (Screen.SENSITIVE, "TEXT_INSULT")
    assert caption.text == "Digo: You are an idiot." and caption.stable_prefix == len(caption.text)
    assert room.notes.seen["masked"] == 1 and not room.notes.flags


async def test_a_withheld_sentence_leaves_nothing_but_its_mark(room: Room) -> None:
    caption = await room.final("You are vermin.")
    assert (caption.screen, caption.screen_reason) == (Screen.WITHHELD, "TEXT_HATE")
    assert (caption.text, caption.stable_prefix) == (WITHHELD_TEXT, 0)
    assert not room.engine.asked and "vermin" not in repr(caption)
    assert caption.original_sha256 == mac.original_hash("You are vermin.")
    assert room.notes.seen["withheld"] == 1


async def test_an_artefact_shows_the_original_and_blames_nobody(room: Room) -> None:
    caption = await room.final("What a muddle this is.")
    assert (caption.screen, caption.screen_reason) == (Screen.CLEAR, ARTEFACT)
    assert caption.text == "What a muddle this is."
    assert caption.untranslated and caption.quality == 0 and caption.tier is Tier.NONE
    assert room.notes.seen["artefact"] == 1 and not room.notes.flags


async def test_an_artefact_keeps_what_was_read_as_stable(room: Room) -> None:
    shown = await room.say("Hello! What a", final=False)
    assert shown is not None and shown.stable_text == "¡Hola! "
    assert await room.say("Hello! What a muddle. I", revision=2, final=False) is None
    caption = await room.final("Hello! What a muddle. I see.", revision=3)
    assert caption.text == "¡Hola! \nHello! What a muddle. I see."


async def test_a_flagged_original_stays_flagged_however_it_translates(room: Room) -> None:
    """The engine is not asked to be rude: the original alone decides."""
    caption = await room.final("You wretch.")
    assert caption.screen is Screen.SENSITIVE and len(room.notes.flags) == 1
    assert not room.notes.flags[0].translated


async def test_partials_that_would_be_hidden_wait_for_their_final(room: Room) -> None:
    assert await room.say("You idiot and so", final=False) is None
    assert await room.say("You slow and so", revision=2, final=False) is None
    assert room.notes.seen["put_off"] == 2 and not room.engine.asked
    caption = await room.final("You idiot and so on.", revision=3)
    assert caption.screen is Screen.SENSITIVE


@pytest.mark.parametrize(
    ("word", "reason", "outcome"),
    [
        ("slow", "LATE", "late"),
        ("crowd", "OVERLOADED", "overloaded"),
        ("broken", "FAILED", "failed"),
        ("strange", "FAILED", "failed"),
        ("x" * 16_385, "TEXT_TOO_LONG", "text_too_long"),
    ],
)
async def test_a_final_that_nobody_could_look_at_is_shown_marked(
    room: Room, word: str, reason: str, outcome: str
) -> None:
    caption = await room.final(f"What a {word}.")
    assert (caption.screen, caption.screen_reason) == (Screen.UNSCREENED, reason)
    assert word[:50] in caption.text
    assert room.notes.seen[f"original {outcome}"] == room.notes.seen["unscreened"] == 1


async def test_an_operator_may_fold_it() -> None:
    room = Room(policy=replace(POLICY, unscreened=Action.MASK))
    caption = await room.final("What a slow day.")
    assert (caption.screen, caption.screen_reason) == (Screen.SENSITIVE, "LATE")


async def test_a_reader_whose_language_the_screen_does_not_know() -> None:
    room = Room(reads="id")
    caption = await room.final("The train is here.")
    assert caption.target_language == "id" and caption.screen is Screen.CLEAR
    assert room.notes.seen["translation language_unknown"] == 1


async def test_without_a_screen_nothing_is_marked_and_nothing_is_claimed() -> None:
    room = Room(screens=False)
    caption = await room.final("You are an idiot.")
    assert caption.screen is Screen.OFF and not room.notes.seen["original allow"]
    assert await room.say("You idiot and", "b", final=False) is not None


async def test_where_a_screen_is_wanted_and_absent_everything_is_marked() -> None:
    room = Room(screens=False, wanted=True)
    caption = await room.final("You are an idiot.")
    assert (caption.screen, caption.screen_reason) == (Screen.UNSCREENED, "ABSENT")
    assert caption.text == "Digo: You are an idiot." and room.notes.seen["unscreened"] == 1
    partial = await room.say("You idiot and", "b", final=False)
    assert partial is not None and partial.screen is Screen.UNSCREENED


async def test_a_flag_tells_who_and_how_sure_but_never_what(room: Room) -> None:
    await room.final("You wretch, you 5up3rs3cr3t.")
    flag = room.notes.flags[0]
    assert (flag.user_id, flag.session_id, flag.match_id) == ("ana", "s1", "m")
    assert (flag.reason, flag.policy_version) == ("TEXT_HATE", "1")
    assert (flag.seen.scores["hate"], flag.seen.language) == (HATEFUL[0], "en")
    assert (flag.seen.model, flag.seen.version) == ("text-safety-head", "scripted")
    assert "wretch" not in repr(flag) and "5up3rs3cr3t" not in repr(flag)
    assert room.notes.seen["committed"] == 1


async def test_partials_are_never_told_of(room: Room) -> None:
    await room.say("You wretch and", final=False)
    assert not room.notes.flags


async def test_the_same_final_has_the_same_flag(room: Room) -> None:
    await room.final("You wretch.")
    again = Room()
    await again.final("You wretch.")
    assert room.notes.flags[0].escalation_id == again.notes.flags[0].escalation_id
    await room.final("You wretch.", "b")
    assert room.notes.flags[0].escalation_id != room.notes.flags[1].escalation_id


async def test_flags_of_one_person_are_bounded(room: Room) -> None:
    burst = int(ESCALATIONS.burst)
    for number in range(burst + 4):
        caption = await room.final("You wretch.", f"segment-{number}")
        assert caption.screen is Screen.SENSITIVE
    assert len(room.notes.flags) == burst and room.notes.seen["limited"] == 4
    await room.clock.advance(60)
    await room.final("You wretch.", "later")
    assert len(room.notes.flags) == burst + 1


async def test_a_store_that_is_away_delays_the_flag_not_the_caption(room: Room) -> None:
    room.notes.store_away = True
    assert (await room.final("You wretch.")).screen is Screen.SENSITIVE
    assert room.notes.seen["delayed"] == 1


WORDS = st.sampled_from(
    ["hello", "you", "train", "idiot", "wretch", "vermin", "slow", "broken", "muddle", "!", "안녕"]
)


@given(st.lists(WORDS, min_size=1, max_size=6))
async def test_finals_are_never_lost_and_allowed_text_is_never_altered(words: list[str]) -> None:
    text = " ".join(words)
    screened, plain = Room(), Room(screens=False)
    caption, unscreened = await screened.final(text), await plain.final(text)
    assert caption.text.strip()
    assert caption.original_sha256 == unscreened.original_sha256
    if caption.screen is not Screen.WITHHELD and caption.screen_reason != ARTEFACT:
        assert caption.text == unscreened.text
    harmful = {"idiot", "wretch", "vermin"} & set(words)
    if harmful and not {"slow", "broken"} & set(words):
        assert caption.screen in (Screen.SENSITIVE, Screen.WITHHELD)
