"""What simulated devices see and say: the real uplink of the agent, with made-up observations.

Nothing here has a camera. Scores, presence and interests are invented, seeded and named so.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable, Sequence

from inyeon_chaos.history import History, Kind
from inyeon_edge.errors import OutboxFull
from inyeon_edge.uplink.conversation import Conversation, Line
from inyeon_edge.uplink.facts import Pass, Statement
from inyeon_edge.uplink.identity import MODERATION
from inyeon_edge.uplink.outbox import MemoryOutbox
from inyeon_edge.uplink.protocol import StreamSpec
from inyeon_edge.uplink.seek import Condition, Seek
from inyeon_edge.uplink.sender import Sent
from inyeon_protos.common.v1 import vector_pb2
from inyeon_protos.matching.v1 import matching_pb2
from inyeon_protos.moderation.v1 import safety_pb2

SIMULATED = "simulated"
LANGUAGES = ("en", "es")
DIMS, TOPICS = 32, 4
CONTENT_DIMS = 64

QUIET = (0.02, 0.01, 0.94, 0.01, 0.02)
DRAWN = (0.95, 0.01, 0.02, 0.01, 0.01)
"""Far above the threshold of the policy's rule `drawing`."""
DOUBTFUL = (0.02, 0.01, 0.45, 0.50, 0.02)
"""In the unsure band of the rule `porn`, below its threshold."""
FLAG_WINDOWS = 5  # of a second: the rule fires after 3.0 s and 4 frames, two a window
DOUBT_WINDOWS = 4  # the band is unsure after 2.0 s

_OBSERVE: StreamSpec[safety_pb2.ObserveRequest, safety_pb2.ObserveResponse] = StreamSpec(
    "observe", MODERATION, safety_pb2.ObserveRequest
)


class SimulatedObserve(
    Conversation[safety_pb2.ObserveRequest, safety_pb2.ObserveResponse],
):
    """Says windows until they are acknowledged, and notes when all of a flag are."""

    def __init__(
        self,
        line: Line[safety_pb2.ObserveRequest, safety_pb2.ObserveResponse],
        history: History,
        user: str,
    ) -> None:
        super().__init__(_OBSERVE, line, MemoryOutbox())
        self._history, self._user = history, user
        self._pass: Pass | None = None
        self._flag: set[int] | None = None

    def see(
        self, scores: Sequence[float], embedding: vector_pb2.Vector | None = None
    ) -> int | None:
        """Keeps a window; its key, or None where too many wait already."""
        request = safety_pb2.ObserveRequest(window=simulated_window(scores))
        if embedding is not None:
            request.window.embedding.CopyFrom(embedding)
        try:
            return self.stream.send(request)
        except OutboxFull:
            return None

    def flag(self, keys: set[int]) -> None:
        """These windows are a flag: it is accepted when all of them are acknowledged."""
        self._history.add(Kind.SENT, "flag", user=self._user)
        self._flag = keys

    def safety_pass(self) -> Statement | None:
        """The newest pass while it lives."""
        if self._pass is None or self._pass.ends_at_s <= self._clock.monotonic():
            return None
        return self._pass.statement

    def acknowledged(
        self, done: Sequence[Sent], carrier: safety_pb2.ObserveResponse | None
    ) -> None:
        if carrier is not None and carrier.HasField("safety_pass"):
            self._pass = Pass.received(carrier.safety_pass, self._clock.monotonic())
        if self._flag is not None:
            self._flag -= {sent.key for sent in done}
            if not self._flag:
                self._flag = None
                self._history.add(Kind.ACCEPTED, "flag", user=self._user)

    def received(self, message: safety_pb2.ObserveResponse) -> None:
        kind = message.WhichOneof("kind")
        if kind == "verdict":
            name = safety_pb2.Verdict.Name(message.verdict.verdict).removeprefix("VERDICT_")
            self._history.add(Kind.TOLD, "verdict", user=self._user, verdict=name)
        elif kind == "directive":
            name = safety_pb2.DirectiveAction.Name(message.directive.action)
            action = name.removeprefix("DIRECTIVE_ACTION_")
            self._history.add(Kind.TOLD, "directive", user=self._user, action=action)


class SimulatedSeek(Seek):
    """The agent's Seek, and a note of what it is told and of what is accepted."""

    def __init__(
        self,
        line: Line[matching_pb2.SeekRequest, matching_pb2.SeekResponse],
        wish: matching_pb2.Wish,
        condition: Condition,
        history: History,
        user: str,
        met: Callable[[str, str], None],
    ) -> None:
        super().__init__(line, wish, condition)
        self._history, self._user, self._met = history, user, met
        self._ends: dict[int, str] = {}
        self._known: set[str] = set()

    def part(self) -> None:
        """Ends the live match."""
        match_id = self.match_id
        if not match_id:
            return
        end = matching_pb2.EndMatch(match_id=match_id, reason=matching_pb2.END_REASON_LEFT)
        self._history.add(Kind.SENT, "end", user=self._user, match=match_id)
        self._ends[self.stream.send(matching_pb2.SeekRequest(end_match=end))] = match_id

    def acknowledged(self, done: Sequence[Sent], carrier: matching_pb2.SeekResponse | None) -> None:
        for sent in done:
            match_id = self._ends.pop(sent.key, None)
            if match_id is not None:
                self._history.add(Kind.ACCEPTED, "end", user=self._user, match=match_id)
        super().acknowledged(done, carrier)

    def received(self, message: matching_pb2.SeekResponse) -> None:
        kind = message.WhichOneof("kind")
        if kind == "queued":
            self._once("queued", message.queued.ticket_id, ticket=message.queued.ticket_id)
        elif kind == "matched":
            told = message.matched
            partner = told.partner.partner_id
            if self._once("matched", told.match_id, match=told.match_id, partner=partner):
                self._met(told.match_id, partner)
        super().received(message)

    def _once(self, what: str, name: str, **fields: str) -> bool:
        """State is told again after each resume: the first time counts."""
        if name in self._known:
            return False
        self._known.add(name)
        self._history.add(Kind.TOLD, what, user=self._user, **fields)
        return True


def simulated_window(scores: Sequence[float]) -> safety_pb2.ObservationWindow:
    """A second with one person in the picture and these class means."""
    window = safety_pb2.ObservationWindow(
        subject=safety_pb2.OBSERVED_SUBJECT_MYSELF,
        presence=safety_pb2.PRESENCE_STATE_ALONE,
        presence_share=1.0,
        scores=safety_pb2.FilterScores(
            model=SIMULATED, version="1", frames=2, mean=scores, max=scores
        ),
        quality=safety_pb2.PictureQuality(brightness=0.5, sharpness=100.0, frame_rate=15.0),
    )
    window.started_at.FromNanoseconds(time.time_ns() - 1_000_000_000)
    window.duration.FromSeconds(1)
    return window


def simulated_embedding(draw: random.Random) -> vector_pb2.Vector:
    """Where no picture is: what models say about it means nothing, but they are asked."""
    space = vector_pb2.EmbeddingSpace(
        model="content-pca-64",
        version="1",
        dims=CONTENT_DIMS,
        encoding=vector_pb2.VECTOR_ENCODING_INT8_SCALED,
    )
    steps = [draw.randint(-127, 127) for _ in range(CONTENT_DIMS)]
    return vector_pb2.Vector(
        space=space, data=struct.pack("<f", 0.01) + struct.pack(f"{CONTENT_DIMS}b", *steps)
    )


def simulated_wish(draw: random.Random) -> matching_pb2.Wish:
    """Two of four topics, English or Spanish, anybody."""
    topics = [random.Random(f"topic {number}") for number in draw.sample(range(TOPICS), 2)]
    steps = [round(sum(topic.gauss(0, 30) for topic in topics)) for _ in range(DIMS)]
    steps = [max(-127, min(127, step)) for step in steps]
    space = vector_pb2.EmbeddingSpace(
        model=SIMULATED,
        version="1",
        dims=DIMS,
        encoding=vector_pb2.VECTOR_ENCODING_INT8_SCALED,
    )
    data = struct.pack("<f", 1 / 127) + struct.pack(f"{DIMS}b", *steps)
    return matching_pb2.Wish(
        languages=[matching_pb2.SpokenLanguage(tag=draw.choice(LANGUAGES), level=5)],
        interests=vector_pb2.Vector(space=space, data=data),
        translation_welcome=True,
    )
