"""Seek: says whom the person looks for, keeps the ticket alive, hears of matches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inyeon_edge.uplink import facts
from inyeon_edge.uplink.conversation import Conversation, Line
from inyeon_edge.uplink.identity import MATCHING
from inyeon_edge.uplink.outbox import MemoryOutbox
from inyeon_edge.uplink.protocol import StreamSpec
from inyeon_edge.uplink.waiting import first_of
from inyeon_protos.matching.v1 import matching_pb2 as pb

HEARTBEAT_S = 3.0  # the platform wants one every 10 s: two may be lost

_SPEC: StreamSpec[pb.SeekRequest, pb.SeekResponse] = StreamSpec("seek", MATCHING, pb.SeekRequest)


@dataclass(frozen=True, slots=True)
class Condition:
    """How the person is now, asked at each heartbeat."""

    safety_pass: Callable[[], facts.Statement | None]
    attention: Callable[[], facts.Attention]


class Seek(Conversation[pb.SeekRequest, pb.SeekResponse]):
    """Looking for somebody, from wish to the end of a match, as often as told."""

    def __init__(
        self,
        line: Line[pb.SeekRequest, pb.SeekResponse],
        wish: pb.Wish,
        condition: Condition,
    ) -> None:
        super().__init__(_SPEC, line, MemoryOutbox())
        self._wish, self._condition = wish, condition
        self._wanted = False
        self.match_id = ""
        self.proposed_id = ""
        self._beat_now = asyncio.Event()

    def look(self) -> None:
        """Starts looking; while a ticket waits or a match lives, nothing changes."""
        if self.match_id:
            return
        self._wanted = True
        self.stream.say_now(pb.SeekRequest(wish=self._wish))
        self.beat_soon()

    def leave(self) -> None:
        """Stops looking, or ends the match."""
        if self.match_id:
            self.end_match("LEFT")
        elif self.proposed_id:
            self.answer(self.proposed_id, yes=False)
        elif self._wanted:
            self._wanted = False
            self.stream.send(pb.SeekRequest(cancel=pb.Cancel()))

    def answer(self, match_id: str, yes: bool) -> None:
        """Accepts or declines a proposal; one that is over is not answered any more."""
        if match_id != self.proposed_id:
            return
        if yes:
            self.stream.send(pb.SeekRequest(accept=pb.Accept(match_id=match_id)))
        else:
            self.stream.send(pb.SeekRequest(decline=pb.Decline(match_id=match_id)))

    def widen(self, ticket_id: str, filters: Sequence[str]) -> None:
        """The person drops these filters of the wish: GENDERS, COUNTRIES or COMMON_LANGUAGE. A
        later wish of this session goes without them, too."""
        drops = [pb.Filter.Value(f"FILTER_{name}") for name in filters]
        self._wish = _without(self._wish, drops)
        self.stream.send(pb.SeekRequest(widen=pb.Widen(ticket_id=ticket_id, drops=drops)))

    def end_match(self, reason: str) -> None:
        """Ends the live match: LEFT, CONNECT_FAILED, LOST or REPORTED."""
        if self.match_id:
            end = pb.EndMatch(
                match_id=self.match_id, reason=pb.EndReason.Value(f"END_REASON_{reason}")
            )
            self.stream.send(pb.SeekRequest(end_match=end))

    def beat_soon(self) -> None:
        """Presence changed or a pass came: the next heartbeat goes out at once."""
        self._beat_now.set()

    async def run(self) -> None:
        await first_of(super().run(), self._beat())

    def preamble(self) -> Sequence[pb.SeekRequest]:
        self._beat_now.set()
        if self._wanted and not self.match_id:
            return (pb.SeekRequest(wish=self._wish),)
        return ()

    def received(self, message: pb.SeekResponse) -> None:
        kind = message.WhichOneof("kind")
        if kind is not None:
            getattr(self, f"_on_{kind}")(getattr(message, kind))

    async def _beat(self) -> None:
        while True:
            self._beat_now.clear()
            attention = self._condition.attention()
            beat = pb.Heartbeat(
                present=attention is not facts.Attention.AWAY,
                attention=pb.Attention.Value(f"ATTENTION_{attention.value}"),
            )
            statement = self._condition.safety_pass()
            if statement is not None:
                beat.safety_pass.CopyFrom(statement.message())
            self.stream.say_now(pb.SeekRequest(heartbeat=beat))
            await first_of(self._clock.sleep(HEARTBEAT_S), self._nudged())

    async def _nudged(self) -> None:
        await self._beat_now.wait()

    def _on_queued(self, told: pb.Queued) -> None:
        self._match_was_lost()
        self.proposed_id = ""
        self._tell(facts.Queued(_wait_reason(told.reason), told.candidates))

    def _on_paused(self, told: pb.Paused) -> None:
        self._match_was_lost()
        self.proposed_id = ""
        self._tell(facts.Paused(_wait_reason(told.reason)))

    def _on_proposed(self, told: pb.Proposed) -> None:
        self._match_was_lost()
        self.proposed_id = told.match_id
        reasons = tuple(_explained(each) for each in told.reasons)
        within_s = told.answer_within.ToMilliseconds() / 1000
        partner_id = told.partner.partner_id
        self._tell(facts.Proposed(told.match_id, partner_id, reasons, within_s, told.accepted))

    def _on_widening_offer(self, told: pb.WideningOffer) -> None:
        filters = tuple(_filter(each.filter) for each in told.filters)
        self._tell(facts.WideningOffer(told.ticket_id, filters))

    def _on_matched(self, told: pb.Matched) -> None:
        grant = facts.Statement.of(told.grant)
        if told.match_id == self.match_id:
            self._tell(facts.GrantRenewed(told.match_id, grant))
            return
        self._match_was_lost()
        self.match_id, self.proposed_id, self._wanted = told.match_id, "", False
        reasons = tuple(_explained(each) for each in told.reasons)
        partner_id = told.partner.partner_id
        self._tell(facts.Matched(told.match_id, partner_id, reasons, told.offers, grant))

    def _on_grant_renewed(self, told: pb.GrantRenewed) -> None:
        if told.match_id == self.match_id:
            self._tell(facts.GrantRenewed(told.match_id, facts.Statement.of(told.grant)))

    def _on_match_over(self, told: pb.MatchOver) -> None:
        if told.match_id in (self.match_id, self.proposed_id):
            self.match_id = self.proposed_id = ""
            reason = pb.EndReason.Name(told.reason).removeprefix("END_REASON_")
            self._tell(facts.MatchOver(told.match_id, reason, told.by_me))

    def _on_cancelled(self, told: pb.Cancelled) -> None:
        if told.reason == "EXPIRED" and self._wanted:
            self.look()
            return
        self._wanted = False
        self._tell(facts.Cancelled(told.reason))

    def _match_was_lost(self) -> None:
        """The platform's state knows no match of ours any more: it ended while we were away."""
        if self.match_id:
            lost, self.match_id = self.match_id, ""
            self._tell(facts.MatchOver(lost, "LOST", by_me=False))


def _without(wish: pb.Wish, drops: Sequence[pb.Filter.ValueType]) -> pb.Wish:
    wider = pb.Wish()
    wider.CopyFrom(wish)
    if pb.FILTER_GENDERS in drops:
        del wider.genders[:]
    if pb.FILTER_COUNTRIES in drops:
        del wider.countries[:]
    if pb.FILTER_COMMON_LANGUAGE in drops:
        wider.translation_welcome = True
    return wider


def _wait_reason(reason: pb.WaitReason.ValueType) -> str:
    return pb.WaitReason.Name(reason).removeprefix("WAIT_REASON_")


def _filter(one: pb.Filter.ValueType) -> str:
    return pb.Filter.Name(one).removeprefix("FILTER_")


def _explained(told: pb.MatchExplanation) -> facts.Explanation:
    name = pb.MatchReason.Name(told.reason).removeprefix("MATCH_REASON_")
    return facts.Explanation(name, told.strength, told.detail)
