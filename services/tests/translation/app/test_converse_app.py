"""Conversations with people in memory: what streams rarely do, but may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from inyeon.runtime.clock import ManualClock
from inyeon.runtime.errors import SessionOver, StoreUnavailable
from inyeon.translation.app import converse as module
from inyeon.translation.app import desk as desk_module
from inyeon.translation.app.cache import AnswerCache
from inyeon.translation.app.captioning import Captioner
from inyeon.translation.app.converse import Conversations
from inyeon.translation.app.desk import Desk
from inyeon.translation.app.screening import Flag, Screening
from inyeon.translation.app.tiers import Tiers
from inyeon.translation.app.translate import Translator
from inyeon.translation.app.typing_on import Revision
from inyeon.translation.data import read_phrasebook
from inyeon.translation.domain.conversation import Caption, Grant, Receipt
from inyeon.translation.domain.screening import Policy, Rule
from inyeon.translation.errors import GrantMissing, GrantRefused, TooManyHeld

pytestmark = pytest.mark.unit

BOOK = read_phrasebook()


class NoFlags:
    """Flags where nothing is ever flagged."""

    async def raise_flag(self, flag: Flag) -> bool:
        raise AssertionError("nobody screens here")


class Silent:
    """Observer, ScreenObserver and Identifier that know nothing."""

    def answered(self, tier: str, pair: str, seconds: float) -> None: ...
    def refused(self, tier: str, reason: str) -> None: ...
    def cached(self, hit: bool) -> None: ...
    def caption(self, event: str) -> None: ...
    def screened(self, side: str, outcome: str, seconds: float) -> None: ...
    def escalated(self, outcome: str) -> None: ...

    def scores(self, text: str) -> Mapping[str, float]:
        return {"en": 0.0, "es": -0.5}


class Person:
    """Line, and what came over it."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.shown: list[Caption] = []
        self.overs: list[tuple[str, str]] = []
        self.acknowledged = 0
        self.gone = False
        self.store_down = 0

    def show(self, caption: Caption) -> int:
        if self.gone:
            raise SessionOver("gone")
        self.shown.append(caption)
        return len(self.shown)

    def tell_over(self, match_id: str, reason: str) -> None:
        self.overs.append((match_id, reason))

    async def acknowledge(self, through: int) -> None:
        if self.store_down:
            self.store_down -= 1
            raise StoreUnavailable("busy")
        self.acknowledged = through


class Town:
    """Everybody, and the post between them."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        silent = Silent()
        policy = Policy("1", "m", "1", (Rule("TEXT_INSULT", ("offensive",), mask=0.5),))
        tiers = Tiers((), AnswerCache(0), self.clock, silent)
        translator = Translator(BOOK, tiers, silent, self.clock, silent)
        screening = Screening(None, policy, NoFlags(), self.clock, silent)
        captioner = Captioner(translator, screening, self.clock, silent, bytes(32))
        self.conversations = Conversations(captioner, self, self.clock, silent)
        self.desks: dict[str, Desk] = {}
        self._loops: list[asyncio.Task[None]] = []

    def enter(self, user: str, *, resumed: bool = False, session: str = "s") -> tuple[Person, Desk]:
        person = Person(user)
        desk = self.desks[user] = Desk(person, session, 0, self, resumed=resumed)
        self._loops.append(asyncio.create_task(desk.run()))
        return person, desk

    def grant(self, user: str, partner: str, match: str = "m", lives_s: float = 120) -> Grant:
        until = self.clock.now() + timedelta(seconds=lives_s)
        languages = {"ana": ("en",), "luis": ("es",)}
        return Grant(match, user, partner, languages[user], languages[partner], until)

    async def close(self) -> None:
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    async def caption(self, user_id: str, caption: Caption) -> bool:
        return user_id in self.desks and self.conversations.take(self.desks[user_id], caption)

    async def receipt(self, user_id: str, receipt: Receipt) -> bool:
        return user_id in self.desks and self.desks[user_id].receipt(receipt)

    async def arrival(
        self, user_id: str, match_id: str, partner_id: str, name: str, *, answer: bool
    ) -> bool:
        desk = self.desks.get(user_id)
        if desk is None:
            return False
        return desk.partner_arrived(match_id, partner_id, name, answer=answer)

    async def over(self, user_id: str, match_id: str, reason: str) -> bool:
        return user_id in self.desks and self.desks[user_id].end(match_id, reason)


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    town = Town()
    yield town
    await town.close()


async def settled(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - bounded polling of another task's effect
            await asyncio.sleep(0.005)


def final(text: str, segment: str = "a", revision: int = 1) -> Revision:
    return Revision(segment, revision, text, True)


def partial(text: str, revision: int, segment: str = "a") -> Revision:
    return Revision(segment, revision, text, False)


async def meet(town: Town) -> tuple[Person, Desk, Person, Desk]:
    ana, ana_desk = town.enter("ana")
    luis, luis_desk = town.enter("luis")
    await town.conversations.grant(ana_desk, 1, town.grant("ana", "luis"), "Rose")
    await town.conversations.grant(luis_desk, 1, town.grant("luis", "ana"), "Luis")
    await settled(lambda: ana.acknowledged == 1 and luis.acknowledged == 1)
    return ana, ana_desk, luis, luis_desk


async def test_both_names_are_known_to_both(town: Town) -> None:
    _, ana_desk, luis, _ = await meet(town)
    assert ana_desk.conversation is not None and ana_desk.conversation.names == ("Rose", "Luis")
    await town.conversations.say(ana_desk, 2, final("Nice to meet you, Luis!"))
    await settled(lambda: bool(luis.shown))
    assert luis.shown[0].text == "¡Mucho gusto, Luis!"


async def test_a_grant_that_runs_out_ends_the_conversation(town: Town) -> None:
    ana, ana_desk, luis, luis_desk = await meet(town)
    await town.conversations.say(ana_desk, 2, final("Hello!"))
    await town.clock.advance(121)
    town.conversations.check_grants([ana_desk, luis_desk])
    assert ana.overs == luis.overs == [("m", "GRANT_EXPIRED")]
    await settled(lambda: ana.acknowledged == 2)
    # A renewed grant of the same match opens it again.
    await town.conversations.grant(ana_desk, 3, town.grant("ana", "luis"), "")
    await town.conversations.grant(luis_desk, 2, town.grant("luis", "ana"), "")
    await town.conversations.say(ana_desk, 4, final("Thank you!", "b"))
    await settled(lambda: [c.text for c in luis.shown][-1:] == ["¡Gracias!"])


async def test_talking_with_a_grant_that_ran_out_is_told_and_acknowledged(town: Town) -> None:
    ana, ana_desk, luis, _ = await meet(town)
    await town.clock.advance(121)
    await town.conversations.say(ana_desk, 2, final("Hello!"))
    await settled(lambda: ana.acknowledged == 2)
    assert ana.overs and not luis.shown


async def test_a_grant_of_another_match_ends_the_first(town: Town) -> None:
    ana, ana_desk, _, _ = await meet(town)
    await town.conversations.grant(ana_desk, 2, town.grant("ana", "luis", "m2"), "Rose")
    assert ana.overs == [("m", "MATCH_ENDED")]
    assert ana_desk.conversation is not None and ana_desk.conversation.grant.match_id == "m2"


@pytest.mark.parametrize("user", ["luis", "ana"])
async def test_a_foreign_grant_is_refused(town: Town, user: str) -> None:
    _, desk = town.enter("ana")
    grant = town.grant(user, "ana" if user == "luis" else "luis")
    if user == "ana":
        grant = Grant("m", "ana", "ana", ("en",), ("es",), grant.expires_at)
    with pytest.raises(GrantRefused):
        await town.conversations.grant(desk, 1, grant, "")


async def test_a_resumed_session_may_repeat_before_its_grant(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, luis, _ = await meet(town)
    _, desk = town.enter("ana", resumed=True)
    await town.conversations.say(desk, 2, final("Hello!"))
    assert not luis.shown
    await town.conversations.grant(desk, 3, town.grant("ana", "luis"), "Rose")
    await settled(lambda: len(luis.shown) == 1)
    monkeypatch.setattr(module, "MAX_HELD", 0)
    _, other = town.enter("luis", resumed=True)
    with pytest.raises(TooManyHeld):
        await town.conversations.say(other, 1, final("Hola"))
    _, fresh = town.enter("luis")
    with pytest.raises(GrantMissing):
        await town.conversations.say(fresh, 1, final("Hola"))


async def test_what_is_held_is_bounded(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HELD", 1)
    _, desk = town.enter("ana")
    await town.conversations.grant(desk, 1, town.grant("ana", "luis"), "")
    await town.conversations.say(desk, 2, final("Hello!"))
    with pytest.raises(TooManyHeld):
        await town.conversations.say(desk, 3, final("Hi!", "b"))


async def test_an_author_who_takes_words_back_changes_nothing_that_was_told(town: Town) -> None:
    _, desk, luis, _ = await meet(town)
    await town.conversations.say(desk, 2, partial("Hello! How are", 1))
    await town.conversations.say(desk, 3, partial("Good morning", 2))
    await town.conversations.say(desk, 4, final("Good morning!", revision=3))
    await settled(lambda: any(c.is_final for c in luis.shown))
    told = luis.shown[0].text[: luis.shown[0].stable_prefix]
    assert told == "¡Hola! " and luis.shown[-1].text == "¡Hola! \n¡Buenos días!"
    assert len(luis.shown) == 2


async def test_a_final_that_adds_nothing_keeps_how_it_came_about(town: Town) -> None:
    _, desk, luis, _ = await meet(town)
    await town.conversations.say(desk, 2, partial("Thank you! I", 1))
    await town.conversations.say(desk, 3, final("Thank you! ", revision=2))
    await settled(lambda: any(c.is_final for c in luis.shown))
    last = luis.shown[-1]
    assert (last.text.strip(), last.tier.name, last.source_language) == (
        "¡Gracias!",
        "PHRASEBOOK",
        "en",
    )


async def test_blank_utterances_are_acknowledged_and_not_shown(town: Town) -> None:
    ana, desk, luis, _ = await meet(town)
    await town.conversations.say(desk, 2, final("  \n"))
    await settled(lambda: ana.acknowledged == 2)
    assert not luis.shown


async def test_a_store_that_is_busy_is_tried_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "RETRY_S", 0.01)
    ana, desk = town.enter("ana")
    ana.store_down = 2
    await town.conversations.grant(desk, 1, town.grant("ana", "luis"), "")
    await settled(lambda: ana.acknowledged == 1)


async def test_a_partner_whose_stream_just_ended_gets_it_on_the_next_one(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "RETRY_S", 0.01)
    _, desk, luis, _ = await meet(town)
    luis.gone = True
    await town.conversations.say(desk, 2, final("Hello!"))
    again, new_desk = town.enter("luis", resumed=True)
    await town.conversations.grant(new_desk, 2, town.grant("luis", "ana"), "")
    await settled(lambda: [c.text for c in again.shown] == ["¡Hola!"])
    town.conversations.confirmed(new_desk, 1)


async def test_strangers_and_other_matches_are_not_heard(town: Town) -> None:
    _, desk, luis, luis_desk = await meet(town)
    await town.conversations.say(desk, 2, final("Hello!"))
    await settled(lambda: bool(luis.shown))
    caption = luis.shown[0]
    assert not town.conversations.take(luis_desk, replace(caption, author_id="eve"))
    assert not town.conversations.take(luis_desk, replace(caption, match_id="other"))
    assert town.conversations.take(luis_desk, caption) and len(luis.shown) == 1
    assert not luis_desk.partner_arrived("m", "eve", "Eve", answer=True)
    assert not luis_desk.receipt(Receipt("other", "a", 1)) and luis_desk.receipt(
        Receipt("m", "z", 1)
    )
    assert not luis_desk.end("other", "MATCH_ENDED")
    _, idle = town.enter("ana")
    assert idle.received(3) == 0
    idle.leave("MATCH_ENDED")
    assert not idle.over


async def test_sides_and_ends_are_bounded(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONVERSATIONS", 1)
    monkeypatch.setattr(module, "MAX_ENDED", 1)
    await meet(town)
    assert len(town.conversations._sides) == 1
    await town.conversations.match_ended("x", ("ana", "luis"))
    await town.conversations.match_ended("y", ("ana", "luis"))
    assert list(town.conversations._ended) == ["y"]
