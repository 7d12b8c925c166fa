"""The device's state machine, meetings and the two picture threads, with twins around them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from inyeon_edge.agent.commands import Answer, Attend, Leave, Look, Say, Stats, Stop, Switch, Widen
from inyeon_edge.agent.device import LINES_LIMIT, Accepts, Device, Parts
from inyeon_edge.agent.meeting import Meeting
from inyeon_edge.agent.partner import PartnerThread
from inyeon_edge.agent.report import ListSink, Report
from inyeon_edge.agent.seams import Show
from inyeon_edge.call.frames import (
    STALE_S,
    ChangeMeter,
    MediaCounts,
    OutgoingFrames,
)
from inyeon_edge.effects import CoverCard
from inyeon_edge.effects.blur import BackgroundBlur
from inyeon_edge.effects.compositor import Compositor
from inyeon_edge.errors import CallFailed, CameraVanished, UndecodableSource, UnknownSource
from inyeon_edge.frame import Image
from inyeon_edge.outputs import NullOutput
from inyeon_edge.uplink import facts
from inyeon_edge.uplink.clock import ManualClock, SystemClock
from inyeon_edge.uplink.conversation import Line
from inyeon_edge.uplink.converse import Converse
from inyeon_edge.uplink.facts import Action, Subject
from inyeon_edge.uplink.observe import Observe
from inyeon_edge.uplink.ring import DiskRing
from inyeon_edge.uplink.seek import Condition, Seek
from inyeon_edge.uplink.twin import PlatformTwin, TwinTokens
from inyeon_edge.uplink.window import ModelNames, WindowBuilder
from inyeon_edge.vision.incoming import IncomingCheck
from inyeon_edge.vision.results import Presence, Scored
from inyeon_protos.matching.v1 import matching_pb2
from inyeon_protos.moderation.v1 import safety_pb2
from inyeon_protos.translation.v1 import translation_pb2

from .conftest import until

pytestmark = pytest.mark.unit

GRANT = facts.Statement("k", b"g", b"s" * 64)
MATCHED = facts.Matched("m1", "other", (), True, GRANT)


class FakePicture:
    def __init__(self) -> None:
        self.covered = False
        self.sources: list[str] = []

    def start(self) -> None: ...
    def stop(self) -> None: ...

    def cover(self, on: bool) -> None:
        self.covered = on

    def switch(self, source: str) -> None:
        if source == "nothing":
            raise UnknownSource("no such source", field="nothing")
        self.sources.append(source)

    def figures(self) -> dict[str, float]:
        return {}


class FakePartner:
    def __init__(self) -> None:
        self.covered = False
        self.ended: list[str] = []

    def begin(self, match_id: str, counts: MediaCounts) -> None: ...
    def show(self, image: Image) -> None: ...

    def cover(self, on: bool) -> None:
        self.covered = on

    def end(self, match_id: str) -> None:
        self.ended.append(match_id)

    def stop(self) -> None: ...


class FakeCall:
    """A call that ends when hung up, or as the test says."""

    def __init__(self) -> None:
        self.counts = MediaCounts(1, 2, 3, 4)
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.grants: list[facts.Statement] = []

    async def run(self) -> None:
        await self.over

    def hang_up(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    async def renew(self, grant: facts.Statement) -> None:
        self.grants.append(grant)


class FakeCaller:
    def __init__(self) -> None:
        self.calls: list[FakeCall] = []

    async def call(
        self, matched: facts.Matched, show: Show, told: Callable[[str], None]
    ) -> FakeCall:
        self.calls.append(FakeCall())
        return self.calls[-1]


class Rig:
    def __init__(self, folder: Path, with_seek: bool = True, accepts: Accepts = "always") -> None:
        self.sink, self.clock = ListSink(), SystemClock()
        self.device = Device(Report(self.sink), self.clock, accepts=accepts)
        self.picture, self.partner, self.caller = FakePicture(), FakePartner(), FakeCaller()
        self.policies: list[Mapping[str, float]] = []
        self.verdicts: list[bool] = []
        self.talks: list[Converse] = []
        self.platform: PlatformTwin[Any, Any] = PlatformTwin(translation_pb2.ConverseResponse)
        other: PlatformTwin[Any, Any] = PlatformTwin(matching_pb2.SeekResponse)
        condition = Condition(lambda: None, lambda: facts.Attention.PRESENT)
        self.seek = Seek(self.line(other), matching_pb2.Wish(), condition)
        seen: PlatformTwin[Any, Any] = PlatformTwin(safety_pb2.ObserveResponse)
        self.observe = Observe(self.line(seen), DiskRing(folder / "ring", self.clock.now_s))
        self.device.wire(
            Parts(
                self.observe,
                self.seek if with_seek else None,
                self.picture,
                self.partner,
                self.meet,
                lambda: {"rss_mb": 1.0},
                self.policies.append,
                self.verdicts.append,
            )
        )

    def line(self, platform: PlatformTwin[Any, Any]) -> Line[Any, Any]:
        tokens = TwinTokens(self.clock.monotonic)
        return Line(platform, tokens, self.clock, Random(1), "c", self.device.on_fact)

    def meet(self, matched: facts.Matched, failed: Callable[[str], None]) -> Meeting:
        self.talks.append(Converse(self.line(self.platform), matched.grant))
        report = Report(self.sink)
        return Meeting(
            matched, self.talks[-1], self.caller, self.partner, report, self.clock, failed
        )

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [each for each in self.sink.events if each["event"] in names]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def directive(
    action: Action, subject: Subject, directive_id: str = "", match_id: str = ""
) -> facts.DirectiveTold:
    return facts.DirectiveTold(action, subject, "R", match_id, "v", directive_id)


async def test_attention_is_what_is_seen_and_what_the_person_says(rig: Rig) -> None:
    device, attention = rig.device, facts.Attention
    assert device.attention() is attention.AWAY
    device.saw_presence(Presence.ALONE)
    assert device.attention() is attention.PRESENT
    device.command(Attend(looks=False))
    assert device.attention() is attention.DISTRACTED
    device.saw_presence(Presence.AWAY)
    assert device.attention() is attention.AWAY
    device.saw_presence(Presence.SEVERAL)
    device.command(Attend(looks=True))
    assert device.attention() is attention.PRESENT


@pytest.mark.parametrize(
    ("accepts", "answers"), [("always", [True]), ("never", [False]), ("ask", [])]
)
async def test_a_proposal_is_answered_as_the_settings_say(
    tmp_path: Path, accepts: Accepts, answers: list[bool]
) -> None:
    rig = Rig(tmp_path, accepts=accepts)
    said: list[bool] = []
    rig.seek.answer = lambda match_id, yes: said.append(yes)  # type: ignore[method-assign]
    proposed = facts.Proposed("m1", "other", (), 5.0, accepted=False)
    rig.device.on_fact(proposed)
    rig.device.on_fact(replace(proposed, accepted=True))  # told again after a resume
    assert said == answers
    assert [e["match_id"] for e in rig.events("proposed")] == ["m1"]
    rig.device.command(Answer(yes=True))  # nothing is proposed, as far as the stream knows
    rig.seek.proposed_id = "m1"
    rig.device.command(Answer(yes=True))
    assert said == [*answers, True]


async def test_a_wish_is_widened_by_a_command_after_an_offer_alone(rig: Rig) -> None:
    said: list[tuple[str, tuple[str, ...]]] = []
    rig.seek.widen = lambda ticket_id, filters: said.append((ticket_id, tuple(filters)))  # type: ignore[method-assign]
    rig.device.command(Widen(("GENDERS",)))
    rig.device.on_fact(facts.WideningOffer("t1", ("GENDERS", "COUNTRIES")))
    assert said == [] and rig.events("widening_offer")[0]["filters"] == ["GENDERS", "COUNTRIES"]
    rig.device.command(Widen(("GENDERS",)))
    rig.device.command(Widen(("COUNTRIES",)))
    assert said == [("t1", ("GENDERS",))]


async def test_an_order_covers_and_uncovers_my_picture(rig: Rig) -> None:
    rig.device.on_fact(directive(Action.PROTECT, Subject.MYSELF, "d1"))
    rig.device.on_fact(directive(Action.PROTECT, Subject.MYSELF, "d1"))
    assert rig.picture.covered
    rig.device.on_fact(directive(Action.CLEAR, Subject.MYSELF, "d2"))
    assert not rig.picture.covered
    assert [e["on"] for e in rig.events("cover")] == [True, False]
    assert [e["action"] for e in rig.events("told")] == ["PROTECT", "CLEAR"]


async def test_a_verdict_alone_protects_too_and_is_told_once(rig: Rig) -> None:
    for verdict in ("CLEAR", "PROTECT", "PROTECT", "UNSURE"):
        rig.device.on_fact(facts.VerdictTold(verdict, "R", "v"))
    assert rig.picture.covered
    assert rig.verdicts == [True, False, False, False]
    assert [e["verdict"] for e in rig.events("verdict")] == ["CLEAR", "PROTECT", "UNSURE"]
    rig.device.on_fact(facts.PolicyTold("n", "v", {"Porn": 0.5}))
    assert rig.policies == [{"Porn": 0.5}]


async def test_a_match_from_beginning_to_end(rig: Rig) -> None:
    device = rig.device
    device.command(Say("early", "said before anybody was there"))
    device.on_fact(facts.Queued("POOL_EMPTY", 0))
    device.on_fact(facts.Queued("POOL_EMPTY", 0))
    device.on_fact(facts.Paused("AWAY"))
    device.on_fact(MATCHED)
    await until(lambda: bool(rig.events("media")) and rig.talks[0].stream.is_open)
    device.command(Say("late", "hello"))
    await until(lambda: len(rig.platform.session.uncommitted) == 3)
    rig.platform.commit()
    await until(lambda: len(rig.events("said")) == 2)
    device.on_fact(facts.GrantRenewed("m1", facts.Statement("k2", b"", b"")))
    device.on_fact(facts.GrantRenewed("other", GRANT))
    await until(lambda: len(rig.caller.calls[0].grants) == 1)
    device.covered_incoming(True, "LOCAL_PORN")
    device.on_fact(directive(Action.PROTECT, Subject.PARTNER))
    assert rig.partner.covered
    device.on_fact(directive(Action.END, Subject.MYSELF, match_id="elsewhere"))
    assert not rig.caller.calls[0].over.done()
    device.on_fact(directive(Action.END, Subject.PARTNER, match_id="m1"))
    assert rig.caller.calls[0].over.done()
    device.on_fact(facts.MatchOver("m1", "POLICY", False))
    await device.finish()
    assert not rig.partner.covered
    assert rig.partner.ended == ["m1"]
    assert [e["reason"] for e in rig.events("queued", "paused")] == ["POOL_EMPTY", "AWAY"]
    covers = [(e["subject"], e["on"], e["by"]) for e in rig.events("cover")]
    assert covers[:2] == [("partner", True, "incoming"), ("partner", True, "directive")]
    assert covers[2][:2] == ("partner", False)
    assert device.meeting is None
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize(("reason", "ended"), [("LOST", "LOST"), ("X", "CONNECT_FAILED")])
async def test_a_call_that_fails_ends_the_match(rig: Rig, reason: str, ended: str) -> None:
    ends: list[str] = []
    rig.seek.end_match = lambda reason: ends.append(reason)  # type: ignore[method-assign]
    rig.device.on_fact(MATCHED)
    await until(lambda: bool(rig.caller.calls))
    rig.caller.calls[0].over.set_exception(CallFailed("gone", reason=reason))
    await until(lambda: bool(ends))
    assert ends == [ended]
    assert rig.events("error")[0]["reason"] == reason
    await rig.device.finish()


async def test_looking_again_unless_the_person_left(rig: Rig) -> None:
    looks: list[str] = []
    rig.seek.look = lambda: looks.append("look")  # type: ignore[method-assign]
    rig.seek.leave = lambda: looks.append("leave")  # type: ignore[method-assign]
    over = facts.MatchOver("m1", "LEFT", True)
    rig.device.on_fact(over)
    rig.device.command(Leave())
    rig.device.on_fact(over)
    rig.device.command(Look())
    rig.device.on_fact(over)
    assert looks == ["look", "leave", "look", "look"]


async def test_commands_are_done_or_refused(rig: Rig) -> None:
    rig.device.command(Switch("drawn:cartoon"))
    rig.device.command(Switch("nothing"))
    rig.device.command(Stats())
    for n in range(LINES_LIMIT + 1):
        rig.device.command(Say(str(n), "x"))
    rig.device.command(Stop())
    assert rig.picture.sources == ["drawn:cartoon"]
    assert [e["reason"] for e in rig.events("error")] == ["SOURCE_UNKNOWN", "OUTBOX_FULL"]
    assert rig.events("stats")[0]["rss_mb"] == 1.0
    assert rig.device.stopped.is_set()


async def test_what_is_seen_is_told(rig: Rig) -> None:
    rig.device.saw_presence(Presence.SEVERAL)
    assert rig.device.attention() is facts.Attention.PRESENT
    rig.device.saw_presence(Presence.UNKNOWN)
    assert rig.device.attention() is facts.Attention.AWAY
    rig.device.covered_locally(True, "LOCAL_DRAWING")
    rig.device.covered_incoming(True, "nobody is there")
    rig.device.blurred(30)
    rig.device.saw_window(safety_pb2.ObservationWindow())
    rig.device.source_failed(CameraVanished("gone"), at_start=True)
    assert [e["event"] for e in rig.sink.events] == ["presence", "cover", "blurred", "error"]
    assert rig.observe.stream.waiting == 1
    assert not rig.device.stopped.is_set()
    rig.device.source_failed(UndecodableSource("no video"), at_start=True)
    assert isinstance(rig.device.failure, UndecodableSource)


async def test_the_same_trouble_is_told_every_ten_seconds_or_after_a_link() -> None:
    sink, clock = ListSink(), ManualClock()
    device = Device(Report(sink), clock)
    trouble = facts.Trouble("UNAVAILABLE", "STREAM_BROKEN", "", "away", "seek", 0.1)
    device.on_fact(trouble)
    device.on_fact(trouble)
    assert len(sink.of("error")) == 1
    await clock.advance(10)
    device.on_fact(trouble)
    device.on_fact(facts.Linked("seek", 2))
    device.on_fact(trouble)
    assert len(sink.of("error")) == 3
    device.on_fact(facts.Cancelled("SANCTIONED"))
    device.on_fact(facts.ConversationOver("m", "MATCH_ENDED"))
    assert sink.of("cancelled")
    with pytest.raises(LookupError):
        _ = device.parts


async def test_a_device_without_wishes_only_observes(tmp_path: Path) -> None:
    rig = Rig(tmp_path, with_seek=False)
    rig.device.command(Look())
    rig.device.on_fact(facts.PassTold())
    rig.device.on_fact(facts.MatchOver("m", "LEFT", False))
    rig.device.on_fact(directive(Action.PROTECT, Subject.PARTNER))
    assert not rig.partner.covered


class Told:
    """Where the partner's thread tells what it sees."""

    def __init__(self) -> None:
        self.windows: list[Any] = []
        self.covers: list[tuple[bool, str]] = []

    def saw_window(self, window: Any) -> None:
        self.windows.append(window)

    def covered_incoming(self, on: bool, reason: str) -> None:
        self.covers.append((on, reason))


async def test_a_bad_picture_from_the_partner_is_covered_without_any_server() -> None:
    def score(image: Image, at_s: float) -> Scored:
        bad = 0.99 if image.mean() > 128 else 0.0
        return Scored((0.0, 0.0, 1 - bad, bad, 0.0), b"e" * 68, b"h" * 8, at_s)

    told, screen, counts = Told(), NullOutput(), MediaCounts()
    names = ModelNames("f", "1", "e", "1")
    thread = PartnerThread(
        lambda: IncomingCheck(score, Compositor(BackgroundBlur(), CoverCard()), filter_s=0.01),
        lambda match_id: WindowBuilder(Subject.PARTNER, names, SystemClock(), match_id),
        screen,
        told,
        asyncio.get_running_loop().call_soon_threadsafe,
    )
    thread.begin("m1", counts)
    bright = np.full((24, 32, 3), 250, np.uint8)
    async with asyncio.timeout(10):
        while not told.windows:
            thread.show(bright)
            await asyncio.sleep(0.02)
    assert told.covers == [(True, "LOCAL_PORN")]
    assert screen.last is not None and not (screen.last == 250).all()
    assert told.windows[0].match_id == "m1"
    assert told.windows[0].covered
    assert counts.filtered > 0
    thread.cover(True)
    thread.end("another")
    thread.end("m1")
    thread.stop()


def test_a_picture_that_does_not_come_is_black_never_the_last_one() -> None:
    frames = OutgoingFrames(32, 24)
    assert not frames.newest(0.0).any()
    frames.show(np.full((48, 64, 3), 200, np.uint8), 10.0)
    assert frames.newest(10.0).shape == (24, 32, 3)
    assert frames.newest(10.0 + STALE_S).any()
    assert not frames.newest(10.1 + STALE_S).any()
    frames.close()
    assert not frames.newest(10.0).any()


def test_only_a_moving_picture_changes() -> None:
    meter, still = ChangeMeter(), np.full((48, 64, 3), 100, np.uint8)
    assert meter.is_changed(still)
    assert not meter.is_changed(still)
    assert meter.is_changed(still + 20)
    assert meter.is_changed(np.zeros((24, 32, 3), np.uint8))
