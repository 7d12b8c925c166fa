"""Observe, Seek and Converse against the platform's twin."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from inyeon_edge.errors import InputRefused, StreamRefused
from inyeon_edge.text.encoder import InterestVector
from inyeon_edge.uplink import facts
from inyeon_edge.uplink.clock import ManualClock, SystemClock
from inyeon_edge.uplink.conversation import Line
from inyeon_edge.uplink.converse import Converse
from inyeon_edge.uplink.observe import Observe
from inyeon_edge.uplink.ring import DiskRing
from inyeon_edge.uplink.seek import Condition, Seek
from inyeon_edge.uplink.twin import PlatformTwin, TwinTokens
from inyeon_edge.uplink.wish import Language, make_wish
from inyeon_protos.common.v1.identity_pb2 import GENDER_FEMALE, SafetyPass, SignedStatement
from inyeon_protos.common.v1.stream_pb2 import StreamEndReason
from inyeon_protos.matching.v1 import matching_pb2 as matching
from inyeon_protos.moderation.v1 import safety_pb2 as safety
from inyeon_protos.translation.v1 import translation_pb2 as translation

from .conftest import settle, until

pytestmark = pytest.mark.unit

SIGNED = SignedStatement(key_id="k", payload=b"p", signature=b"s" * 64)
VECTOR = InterestVector("interest-projection", "1", 0.5, np.array([1, -2, 3], np.int8))
WISH = make_wish((Language("en", 5),), VECTOR)


def line(platform: PlatformTwin[Any, Any], told: list[facts.Fact], clock: Any) -> Line[Any, Any]:
    tokens = TwinTokens(clock.monotonic)
    return Line(platform, tokens, clock, Random(3), "installation", told.append)


@asynccontextmanager
async def running(talk: Observe | Seek | Converse) -> AsyncIterator[None]:
    task = asyncio.create_task(talk.run())
    try:
        await until(lambda: talk.stream.is_open)
        yield
    finally:
        talk.stream.stop()
        await asyncio.wait_for(task, 5)


def signed_pass(life_s: int) -> SignedStatement:
    content = SafetyPass(user_id="u", session_id="s", policy_version="p")
    content.issued_at.FromSeconds(1000)
    content.expires_at.FromSeconds(1000 + life_s)
    return SignedStatement(key_id="k", payload=content.SerializeToString(), signature=b"s" * 64)


class TestObserve:
    @pytest.fixture
    def told(self) -> list[facts.Fact]:
        return []

    def make(self, folder: Path, told: list[facts.Fact], clock: Any = None) -> tuple[Observe, Any]:
        clock = clock or SystemClock()
        platform: PlatformTwin[Any, Any] = PlatformTwin(safety.ObserveResponse)
        ring = DiskRing(folder / "ring", clock.now_s)
        return Observe(line(platform, told, clock), ring), platform

    async def test_windows_arrive_and_a_restart_goes_on_with_the_session(
        self, tmp_path: Path, told: list[facts.Fact]
    ) -> None:
        observe, platform = self.make(tmp_path, told)
        async with running(observe):
            observe.see(safety.ObservationWindow(match_id="w1"))
            await until(lambda: bool(platform.session.uncommitted))
            assert told == [facts.Linked("observe", 1)]
        again, _ = self.make(tmp_path, told)
        assert again.stream.session_id == observe.stream.session_id
        assert again.stream.waiting == 1

    async def test_a_pass_lives_as_long_as_it_says(
        self, tmp_path: Path, told: list[facts.Fact]
    ) -> None:
        clock = ManualClock()
        observe, platform = self.make(tmp_path, told, clock)
        task = asyncio.create_task(observe.run())
        await settle(60)
        assert observe.safety_pass() is None
        platform.commit(carrier=safety.ObserveResponse(safety_pass=signed_pass(30)))
        platform.commit(carrier=safety.ObserveResponse(safety_pass=signed_pass(30)))
        platform.commit()
        await settle(60)
        assert told.count(facts.PassTold()) == 1
        assert observe.safety_pass() is not None
        await clock.advance(30.1)
        assert observe.safety_pass() is None
        observe.stream.stop()
        await task

    async def test_directives_verdicts_and_policies_are_told(
        self, tmp_path: Path, told: list[facts.Fact]
    ) -> None:
        observe, platform = self.make(tmp_path, told)
        async with running(observe):
            said = [
                safety.ObserveResponse(
                    directive=safety.Directive(
                        directive_id="d1",
                        action=safety.DIRECTIVE_ACTION_PROTECT,
                        subject=safety.OBSERVED_SUBJECT_PARTNER,
                        reason="DRAWING_SUSTAINED",
                        match_id="m",
                        policy_version="v",
                    )
                ),
                safety.ObserveResponse(
                    directive=safety.Directive(
                        action=safety.DIRECTIVE_ACTION_WARN,
                        subject=safety.OBSERVED_SUBJECT_MYSELF,
                    )
                ),
                safety.ObserveResponse(directive=safety.Directive()),
                safety.ObserveResponse(
                    verdict=safety.VerdictChanged(
                        verdict=safety.VERDICT_UNSURE, reason="R", policy_version="v"
                    )
                ),
                safety.ObserveResponse(
                    policy=safety.PolicyInForce(name="n", version="v", cover_at={"Porn": 0.5})
                ),
                safety.ObserveResponse(),
            ]
            for each in said:
                platform.say(each)
            await until(lambda: platform.session.received_by_client == len(said))
        action, subject = facts.Action, facts.Subject
        assert told[1:] == [
            facts.DirectiveTold(
                action.PROTECT, subject.PARTNER, "DRAWING_SUSTAINED", "m", "v", "d1"
            ),
            facts.DirectiveTold(action.WARN, subject.MYSELF, "", "", ""),
            facts.VerdictTold("UNSURE", "R", "v"),
            facts.PolicyTold("n", "v", {"Porn": 0.5}),
        ]


class SeekRig:
    def __init__(self, clock: Any = None, wish: matching.Wish = WISH) -> None:
        self.told: list[facts.Fact] = []
        self.clock = clock or SystemClock()
        self.platform: PlatformTwin[Any, Any] = PlatformTwin(matching.SeekResponse, 256)
        self.attention, self.passed = facts.Attention.PRESENT, True
        statement = facts.Statement.of(SIGNED)
        condition = Condition(lambda: statement if self.passed else None, lambda: self.attention)
        self.seek = Seek(line(self.platform, self.told, self.clock), wish, condition)

    def kinds(self) -> list[str]:
        return [each.WhichOneof("kind") for each in self.platform.session.uncommitted]

    def beats(self) -> list[Any]:
        messages = self.platform.session.uncommitted
        return [each.heartbeat for each in messages if each.WhichOneof("kind") == "heartbeat"]

    def say(self, **kind: Any) -> None:
        self.platform.say(matching.SeekResponse(**kind))

    def match(self, match_id: str) -> None:
        explained = matching.MatchExplanation(
            reason=matching.MATCH_REASON_TRANSLATED, strength=1.0, detail="en-es"
        )
        card = matching.PartnerCard(partner_id="other")
        self.say(
            matched=matching.Matched(
                match_id=match_id, grant=SIGNED, partner=card, reasons=[explained], offers=True
            )
        )


class TestSeek:
    async def test_the_wish_goes_first_and_heartbeats_follow(self) -> None:
        rig = SeekRig()
        rig.seek.look()
        async with running(rig.seek):
            await until(lambda: len(rig.kinds()) >= 2)
            assert rig.kinds()[:2] == ["wish", "heartbeat"]
            wish = rig.platform.session.uncommitted[0].wish
            assert wish.interests.data == struct.pack("<f", 0.5) + bytes([1, 254, 3])
            assert wish.translation_welcome
            beat = rig.beats()[0]
            assert beat.present and beat.safety_pass == SIGNED
            assert beat.attention == matching.ATTENTION_PRESENT
            rig.attention = facts.Attention.DISTRACTED
            rig.seek.beat_soon()
            await until(lambda: rig.beats()[-1].attention == matching.ATTENTION_DISTRACTED)
            assert rig.beats()[-1].present

    async def test_a_heartbeat_every_three_seconds_and_at_once_when_nudged(self) -> None:
        clock = ManualClock()
        rig = SeekRig(clock)
        task = asyncio.create_task(rig.seek.run())
        await settle(80)
        before = len(rig.beats())
        await clock.advance(3.0)
        await settle(40)
        assert len(rig.beats()) == before + 1
        rig.attention, rig.passed = facts.Attention.AWAY, False
        rig.seek.beat_soon()
        await settle(40)
        assert len(rig.beats()) == before + 2
        assert not rig.beats()[-1].present
        assert rig.beats()[-1].attention == matching.ATTENTION_AWAY
        assert not rig.beats()[-1].HasField("safety_pass")
        rig.seek.stream.stop()
        await task

    async def test_from_queue_to_match_to_over(self) -> None:
        rig = SeekRig()
        rig.seek.look()
        async with running(rig.seek):
            rig.say(queued=matching.Queued(reason=matching.WAIT_REASON_POOL_EMPTY, candidates=2))
            rig.say(paused=matching.Paused(reason=matching.WAIT_REASON_AWAY))
            rig.match("m1")
            rig.match("m1")
            rig.say(grant_renewed=matching.GrantRenewed(match_id="m1", grant=SIGNED))
            rig.say(grant_renewed=matching.GrantRenewed(match_id="other", grant=SIGNED))
            await until(lambda: rig.seek.match_id == "m1")
            rig.seek.look()
            rig.say(match_over=matching.MatchOver(match_id="m1", reason=matching.END_REASON_POLICY))
            rig.say(match_over=matching.MatchOver(match_id="m1", reason=matching.END_REASON_POLICY))
            rig.say(cancelled=matching.Cancelled(reason="SANCTIONED"))
            await until(lambda: rig.platform.session.received_by_client == 9)
        grant = facts.Statement.of(SIGNED)
        assert rig.told[1:] == [
            facts.Queued("POOL_EMPTY", 2),
            facts.Paused("AWAY"),
            facts.Matched(
                "m1", "other", (facts.Explanation("TRANSLATED", 1.0, "en-es"),), True, grant
            ),
            facts.GrantRenewed("m1", grant),
            facts.GrantRenewed("m1", grant),
            facts.MatchOver("m1", "POLICY", False),
            facts.Cancelled("SANCTIONED"),
        ]

    async def test_a_proposal_is_answered_once_and_ends_in_a_match_or_not(self) -> None:
        rig = SeekRig()
        rig.seek.look()
        async with running(rig.seek):
            card = matching.PartnerCard(partner_id="other")
            proposed = matching.Proposed(match_id="m1", partner=card)
            proposed.answer_within.FromMilliseconds(1500)
            rig.seek.answer("m1", yes=True)  # of nothing
            rig.say(proposed=proposed)
            told = facts.Proposed("m1", "other", (), 1.5, False)
            await until(lambda: told in rig.told)
            rig.seek.answer("another", yes=True)
            rig.seek.answer("m1", yes=True)
            await until(lambda: "accept" in rig.kinds())
            rig.say(
                match_over=matching.MatchOver(
                    match_id="m1", reason=matching.END_REASON_NOT_ACCEPTED
                )
            )
            await until(lambda: facts.MatchOver("m1", "NOT_ACCEPTED", False) in rig.told)
            rig.seek.answer("m1", yes=True)  # it is over
            proposed.match_id = "m2"
            rig.say(proposed=proposed)
            await until(lambda: rig.seek.proposed_id == "m2")
            rig.match("m2")
            await until(lambda: rig.seek.match_id == "m2")
            assert rig.seek.proposed_id == "" and "decline" not in rig.kinds()
            assert rig.kinds().count("accept") == 1

    async def test_leaving_declines_a_proposal(self) -> None:
        rig = SeekRig()
        rig.seek.look()
        async with running(rig.seek):
            rig.say(proposed=matching.Proposed(match_id="m1"))
            await until(lambda: rig.seek.proposed_id == "m1")
            rig.seek.leave()
            await until(lambda: "decline" in rig.kinds())
            rig.say(queued=matching.Queued(reason=matching.WAIT_REASON_NO_ONE_FITS))
            await until(lambda: rig.seek.proposed_id == "")

    async def test_the_person_alone_widens_the_wish(self) -> None:
        wish = make_wish((Language("en", 5),), VECTOR)
        wish.countries.append("FR")
        wish.genders.append(GENDER_FEMALE)
        wish.translation_welcome = False
        rig = SeekRig(wish=wish)
        rig.seek.look()
        async with running(rig.seek):
            offer = matching.WideningOffer(ticket_id="t1")
            offer.filters.add(filter=matching.FILTER_COUNTRIES)
            rig.say(widening_offer=offer)
            offered = facts.WideningOffer("t1", ("COUNTRIES",))
            await until(lambda: offered in rig.told)
            assert "widen" not in rig.kinds()
            rig.seek.widen("t1", ("COUNTRIES", "GENDERS", "COMMON_LANGUAGE"))
            await until(lambda: "widen" in rig.kinds())
            said = next(m for m in rig.platform.session.uncommitted if m.HasField("widen"))
            assert said.widen.ticket_id == "t1"
            assert list(said.widen.drops) == [
                matching.FILTER_COUNTRIES,
                matching.FILTER_GENDERS,
                matching.FILTER_COMMON_LANGUAGE,
            ]
            rig.say(cancelled=matching.Cancelled(reason="EXPIRED"))
            await until(lambda: rig.kinds().count("wish") == 2)
            again = [m.wish for m in rig.platform.session.uncommitted if m.HasField("wish")][-1]
            assert not again.countries and not again.genders and again.translation_welcome
            assert list(wish.countries) == ["FR"]

    async def test_ending_a_match_is_said_until_it_is_heard(self) -> None:
        rig = SeekRig()
        async with running(rig.seek):
            rig.seek.end_match("LOST")
            rig.match("m1")
            await until(lambda: rig.seek.match_id == "m1")
            rig.seek.leave()
            await until(lambda: "end_match" in rig.kinds())
            rig.platform.break_connection()
            await until(lambda: rig.platform.live is not None)
            await until(lambda: "end_match" in rig.kinds())
            ended = next(m for m in rig.platform.session.uncommitted if m.HasField("end_match"))
            assert ended.end_match.reason == matching.END_REASON_LEFT

    async def test_leaving_the_queue_cancels_and_an_expired_ticket_is_wished_anew(self) -> None:
        rig = SeekRig()
        rig.seek.leave()
        rig.seek.look()
        async with running(rig.seek):
            rig.say(cancelled=matching.Cancelled(reason="EXPIRED"))
            await until(lambda: rig.kinds().count("wish") == 2)
            rig.seek.leave()
            await until(lambda: "cancel" in rig.kinds())

    async def test_a_match_that_the_platform_no_longer_knows_is_lost(self) -> None:
        rig = SeekRig()
        async with running(rig.seek):
            rig.match("m1")
            await until(lambda: rig.seek.match_id == "m1")
            rig.say(queued=matching.Queued(reason=matching.WAIT_REASON_NO_ONE_FITS))
            await until(lambda: rig.seek.match_id == "")
        assert facts.MatchOver("m1", "LOST", by_me=False) in rig.told

    async def test_superseded_is_said(self) -> None:
        rig = SeekRig()
        task = asyncio.create_task(rig.seek.run())
        await until(lambda: rig.seek.stream.is_open)
        rig.platform.end(StreamEndReason.STREAM_END_REASON_SUPERSEDED)
        await asyncio.wait_for(task, 5)
        assert isinstance(rig.told[-1], facts.Trouble)
        assert rig.told[-1].reason == "SESSION_SUPERSEDED"

    async def test_trouble_is_told_with_its_code(self) -> None:
        rig = SeekRig()
        rig.platform.refuse_with = StreamRefused("no", code="NOT_FOUND", field="f", reason="R")
        task = asyncio.create_task(rig.seek.run())
        await until(lambda: bool(rig.told))
        rig.seek.stream.stop()
        await asyncio.wait_for(task, 5)
        trouble = rig.told[0]
        assert isinstance(trouble, facts.Trouble)
        assert (trouble.code, trouble.reason, trouble.field) == ("NOT_FOUND", "R", "f")


class TestConverse:
    def make(self) -> tuple[Converse, PlatformTwin[Any, Any], list[facts.Fact]]:
        told: list[facts.Fact] = []
        platform: PlatformTwin[Any, Any] = PlatformTwin(translation.ConverseResponse)
        talk = Converse(line(platform, told, SystemClock()), facts.Statement.of(SIGNED), "Rose")
        return talk, platform, told

    async def test_the_grant_goes_first_on_every_connection(self) -> None:
        talk, platform, told = self.make()
        talk.say("s1", "hello", "en")
        async with running(talk):
            await until(lambda: len(platform.session.uncommitted) == 2)
            grant, utterance = platform.session.uncommitted
            assert grant.grant.display_name == "Rose"
            assert (utterance.utterance.revision, utterance.utterance.is_final) == (1, True)
            newer = facts.Statement("k2", b"q", b"t" * 64)
            talk.renew(newer)
            platform.break_connection()
            await until(lambda: platform.live is not None)
            await until(lambda: len(platform.session.uncommitted) == 2)
            assert platform.session.uncommitted[0].grant.grant.key_id == "k2"
            assert platform.session.uncommitted[1].utterance.segment_id == "s1"
            platform.commit()
            await until(lambda: any(isinstance(each, facts.Said) for each in told))
        assert facts.Said("s1", 2) in told

    async def test_captions_and_the_end_are_told(self) -> None:
        talk, platform, told = self.make()
        async with running(talk):
            platform.say(
                translation.ConverseResponse(
                    caption=translation.Caption(
                        author_id="a",
                        segment_id="s",
                        revision=1,
                        text="hola",
                        tier=translation.TIER_PHRASEBOOK,
                        is_final=True,
                        source_language="en",
                        target_language="es",
                        screen=translation.SCREEN_CLEAR,
                    )
                )
            )
            over = translation.ConversationOver(match_id="m", reason="MATCH_ENDED")
            platform.say(translation.ConverseResponse(over=over))
            platform.say(translation.ConverseResponse())
            await until(lambda: platform.session.received_by_client == 3)
        assert told[1:] == [
            facts.CaptionTold("a", "s", 1, "hola", "PHRASEBOOK", False, True, "en", "es", "CLEAR"),
            facts.ConversationOver("m", "MATCH_ENDED"),
        ]

    @pytest.mark.parametrize(
        ("screen", "shown"),
        [
            (translation.SCREEN_UNSPECIFIED, "you idiot"),
            (translation.SCREEN_CLEAR, "you idiot"),
            (translation.SCREEN_UNSCREENED, "you idiot"),
            (translation.SCREEN_SENSITIVE, "[hidden: TEXT_INSULT]"),
            (translation.SCREEN_WITHHELD, "[hidden: TEXT_INSULT]"),
            (17, "[hidden: TEXT_INSULT]"),  # of a newer contract
        ],
    )
    def test_what_the_screen_marked_is_hidden(self, screen: int, shown: str) -> None:
        from inyeon_edge.uplink.converse import caption_told

        caption = translation.Caption(
            text="you idiot",
            tier=translation.Tier.ValueType(99),
            screen=translation.Screen.ValueType(screen),
            screen_reason="TEXT_INSULT",
        )
        told = caption_told(caption)
        assert (told.shown, told.tier, told.hidden) == (shown, "UNKNOWN", shown != "you idiot")

    @pytest.mark.parametrize(
        ("segment_id", "text", "field"),
        [("s", " ", "text"), ("s", "é" * 4097, "text"), ("", "x", "id"), ("i" * 65, "x", "id")],
    )
    def test_a_line_that_the_contract_refuses_is_refused_here(
        self, segment_id: str, text: str, field: str
    ) -> None:
        from inyeon_edge.uplink.converse import check_line

        with pytest.raises(InputRefused) as refused:
            check_line(segment_id, text)
        assert refused.value.field == field
