"""Two devices talk over real gRPC: captions both ways, acknowledgements that mean what they say."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from inyeon.translation.app.desk import Desk
from inyeon.translation.domain import mac
from inyeon_protos.translation.v1 import translation_pb2 as pb

pytestmark = [pytest.mark.integration, pytest.mark.engine("grpc")]

Make = Callable[[Any, str], Awaitable[Any]]


@pytest.fixture
async def pair(bare_platform: Any, talker: Make) -> tuple[Any, Any]:
    """Ana speaks English, Luis Spanish; both hold grants."""
    ana, luis = await talker(bare_platform, "ana"), await talker(bare_platform, "luis")
    await ana.grant("m1", "luis", speaks=("en",), hears=("es",))
    await luis.grant("m1", "ana", speaks=("es",), hears=("en",))
    await settled(lambda: ana.acknowledged == 1 and luis.acknowledged == 1)
    return ana, luis


async def settled(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not holds():  # noqa: ASYNC110 - bounded polling of another process's effect
            await asyncio.sleep(0.01)


async def test_captions_arrive_both_ways(pair: tuple[Any, Any], bare_platform: Any) -> None:
    ana, luis = pair
    await ana.say("How are you?")
    await luis.say("me llamo Luis, mira esto: https://example.org/ñ?q=1")
    await settled(lambda: bool(ana.captions and luis.captions))
    (to_luis,), (to_ana,) = luis.captions, ana.captions
    assert (to_luis.text, to_luis.tier) == ("¿Cómo estás?", pb.TIER_PHRASEBOOK)
    assert to_ana.text == "My name is Luis, look at this: https://example.org/ñ?q=1"
    assert (to_ana.source_language, to_ana.target_language) == ("es", "en")
    assert to_luis.stable_prefix == len(to_luis.text)
    await settled(lambda: ana.acknowledged == 2 and luis.acknowledged == 2)


async def test_the_mac_seals_what_was_said(pair: tuple[Any, Any], bare_platform: Any) -> None:
    ana, luis = pair
    sequence = await ana.say("Thank you!", "seg", 3)
    await settled(lambda: bool(luis.captions))
    caption = luis.captions[0]
    assert caption.original_sha256 == hashlib.sha256(b"Thank you!").digest()
    key = bytes.fromhex((bare_platform.ground.data_dir / "caption-mac.key").read_text())
    sealed = mac.mac_input("m1", "ana", "seg", 3, sequence, caption.original_sha256)
    assert mac.holds(key, sealed, caption.mac)
    assert not mac.holds(key, sealed[:-1] + b"x", caption.mac)


async def test_a_final_is_acknowledged_only_when_the_partners_device_has_it(
    pair: tuple[Any, Any],
) -> None:
    ana, luis = pair
    luis.confirms = False
    await ana.say("Good morning!")
    later = await ana.say("still typing this", "open", 1, final=False)
    await settled(lambda: len(luis.captions) == 2)
    # What comes behind is done at once, yet unacknowledged: acknowledgements are cumulative.
    await luis.say("Buenas tardes")
    await settled(lambda: len(ana.texts()) == 1)
    assert ana.acknowledged == 1
    await luis.confirm(2)
    await settled(lambda: ana.acknowledged == later)


async def test_a_final_waits_for_a_partner_who_comes_late(bare_platform: Any, talker: Make) -> None:
    ana = await talker(bare_platform, "ana")
    await ana.grant("m2", "luis")
    await ana.say("Hello!")
    await ana.say("Welcome!")
    await settled(lambda: ana.acknowledged == 1)
    luis = await talker(bare_platform, "luis")
    await luis.grant("m2", "ana", speaks=("es",), hears=("en",))
    await settled(lambda: luis.texts() == ["¡Hola!", "¡Bienvenido!"])
    await settled(lambda: ana.acknowledged == 3)


async def test_a_break_of_the_readers_stream_loses_no_final_and_shows_none_twice(
    pair: tuple[Any, Any],
) -> None:
    ana, luis = pair
    luis.confirms = False
    await ana.say("Good luck!")
    await settled(lambda: len(luis.captions) == 1)
    await luis.cut()
    await ana.say("Take care!")
    luis.confirms = True
    await luis.open()
    await luis.grant("m1", "ana", speaks=("es",), hears=("en",))
    # The first one was shown, but never confirmed: it comes again, with the same key.
    await settled(lambda: luis.texts()[1:] == ["¡Buena suerte!", "¡Cuídate!"])
    await settled(lambda: ana.acknowledged == 3)


async def test_a_confirmed_final_does_not_come_again_after_a_resume(pair: tuple[Any, Any]) -> None:
    ana, luis = pair
    await ana.say("Good luck!")
    await settled(lambda: ana.acknowledged == 2)
    await luis.cut()
    await luis.open()
    await luis.grant("m1", "ana", speaks=("es",), hears=("en",))
    await ana.say("Take care!")
    await settled(lambda: luis.texts() == ["¡Buena suerte!", "¡Cuídate!"])


async def test_a_break_of_the_authors_stream_repeats_nothing_to_the_reader(
    pair: tuple[Any, Any],
) -> None:
    ana, luis = pair
    luis.confirms = False
    await ana.say("Good luck!")
    await settled(lambda: len(luis.captions) == 1)
    await ana.cut()
    await ana.open()  # sends the final again
    await ana.grant("m1", "luis")
    await luis.confirm(1)
    await settled(lambda: ana.acknowledged == 3)
    assert luis.texts() == ["¡Buena suerte!"]


async def test_the_end_of_the_match_ends_the_conversation_and_settles_everything(
    pair: tuple[Any, Any], bare_platform: Any
) -> None:
    ana, luis = pair
    luis.confirms = False
    await ana.say("Good luck!")
    await settled(lambda: len(luis.captions) == 1)
    await bare_platform.end_match("m1", "ana", "luis")
    await settled(lambda: bool(ana.overs and luis.overs))
    assert {over.reason for over in (*ana.overs, *luis.overs)} == {"MATCH_ENDED"}
    await settled(lambda: ana.acknowledged == 2)
    last = await ana.say("Still there?")
    await settled(lambda: ana.acknowledged == last)
    assert len(luis.captions) == 1
    # A grant of the ended match that is still valid opens nothing.
    await ana.grant("m1", "luis")
    await settled(lambda: len(ana.overs) == 2)


async def test_partials_come_before_the_final_and_keep_their_stable_prefix(
    pair: tuple[Any, Any],
) -> None:
    ana, luis = pair
    steps = ["Good", "Good morning!", "Good morning! How", "Good morning! How are you?"]
    for revision, text in enumerate(steps, start=1):
        await ana.say(text, "seg", revision, final=revision == len(steps))
    await settled(lambda: bool(luis.texts()))
    shown = list(luis.captions)
    assert shown[-1].text == "¡Buenos días! ¿Cómo estás?"
    told = ""
    for caption in shown:
        assert caption.text.startswith(told)
        assert caption.stable_prefix in range(len(told), len(caption.text) + 1)
        told = caption.text[: caption.stable_prefix]
    assert any(c.stable_prefix > 0 for c in shown[:-1])


async def test_late_revisions_are_dropped_and_acknowledged(pair: tuple[Any, Any]) -> None:
    ana, luis = pair
    await ana.say("Good luck!", "seg", 5)
    sequence = await ana.say("Good", "seg", 4, final=False)
    await settled(lambda: ana.acknowledged == sequence)
    assert luis.texts(final=False) == ["¡Buena suerte!"]


async def test_what_no_tier_knows_arrives_as_it_is_and_says_so(pair: tuple[Any, Any]) -> None:
    ana, luis = pair
    await ana.say("The quick brown fox jumps over the lazy dog.")
    await settled(lambda: bool(luis.captions))
    caption = luis.captions[0]
    assert caption.untranslated and caption.quality == 0
    assert caption.text == "The quick brown fox jumps over the lazy dog."


async def test_a_language_that_the_reader_speaks_passes(pair: tuple[Any, Any]) -> None:
    ana, luis = pair
    await ana.say("Muchas gracias por todo, nos vemos mañana")
    await settled(lambda: bool(luis.captions))
    assert luis.captions[0].tier == pb.TIER_NONE and not luis.captions[0].untranslated


@pytest.mark.parametrize(
    ("user", "partner", "lives_s", "reason"),
    [("eve", "luis", 120.0, "GRANT_FOREIGN"), ("ana", "luis", -10.0, "EXPIRED")],
)
async def test_a_grant_that_does_not_hold_is_refused(
    bare_platform: Any,
    talker: Make,
    refusal: Callable[[grpc.aio.AioRpcError], tuple[grpc.StatusCode, str, str]],
    user: str,
    partner: str,
    lives_s: float,
    reason: str,
) -> None:
    ana = await talker(bare_platform, "ana")
    statement = bare_platform.grant("m1", user, partner, lives_s=lives_s)
    await ana._send(pb.ConverseRequest(grant=pb.ConverseGrant(grant=statement)))
    await settled(lambda: ana.error is not None)
    code, why, _ = refusal(ana.error)
    assert (code, why) == (grpc.StatusCode.PERMISSION_DENIED, reason)


async def test_talking_before_the_grant_is_refused(
    bare_platform: Any,
    talker: Make,
    refusal: Callable[[grpc.aio.AioRpcError], tuple[grpc.StatusCode, str, str]],
) -> None:
    ana = await talker(bare_platform, "ana")
    await ana.say("Hello!")
    await settled(lambda: ana.error is not None)
    assert refusal(ana.error)[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "GRANT_MISSING")


async def test_a_defect_ends_the_stream_instead_of_holding_it(
    pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Desk) -> None:
        raise RuntimeError("a defect")

    ana, _ = pair
    monkeypatch.setattr(Desk, "_work", broken)
    await ana.say("Hello!")
    await settled(lambda: ana.error is not None)
    assert ana.error.code() is grpc.StatusCode.INTERNAL


async def test_a_third_person_hears_nothing(
    pair: tuple[Any, Any], bare_platform: Any, talker: Make
) -> None:
    ana, luis = pair
    eve = await talker(bare_platform, "eve")
    await eve.grant("m3", "luis")  # a match of its own, which Luis is not in
    await eve.say("Hello!")
    await ana.say("Thank you!")
    await settled(lambda: bool(luis.captions))
    assert [c.author_id for c in luis.captions] == ["ana"]
    assert not eve.captions and eve.acknowledged <= 1
