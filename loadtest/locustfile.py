"""One kind of user: observes, seeks and talks, as an agent does, without pictures.

    locust -f loadtest/locustfile.py --headless -u 20 -r 5 -t 60s --host 127.0.0.1:7400

Only ever against an own platform. `make load-smoke` starts one and ends it.
"""

from __future__ import annotations

import random
import struct
import time
import uuid
from typing import Any

import grpc
import grpc.experimental.gevent as grpc_gevent
from locust import User, constant, events, task
from streams import LoadStream

from inyeon_protos.common.v1 import identity_pb2, vector_pb2
from inyeon_protos.edge.v1 import edge_pb2, edge_pb2_grpc
from inyeon_protos.matching.v1 import matching_pb2, matching_pb2_grpc
from inyeon_protos.moderation.v1 import safety_pb2, safety_pb2_grpc
from inyeon_protos.translation.v1 import translation_pb2, translation_pb2_grpc

grpc_gevent.init_gevent()

DIMS = 32
TOPICS = 4
TOPICS_EACH = 2
TICK_S = 0.25
TALK_S = 5.0
TOKEN_S = 10.0  # one unary call on loopback; 10 s is a platform that hangs
SEED = 20261123
LANGUAGES = ("en", "es")
PHRASES = {"en": "Where are you from?", "es": "¿De dónde eres?"}


class Person(User):
    """Opens Observe and Seek, talks a little in each match, then looks again."""

    wait_time = constant(TICK_S)
    abstract = False
    count = 0

    def on_start(self) -> None:
        """Gets tokens and opens the two streams that stay."""
        Person.count += 1
        self.random = random.Random(SEED + Person.count)
        self.language = LANGUAGES[Person.count % 2]
        self.sent: dict[tuple[str, int], float] = {}
        self.grant: identity_pb2.SignedStatement | None = None
        self.safety_pass: identity_pb2.SignedStatement | None = None
        self.match_id = ""
        self.sought_at = 0.0
        self.matched_at = 0.0
        self.told_alive_at = 0.0
        self.converse: LoadStream[Any, Any] | None = None
        self.channel = grpc.insecure_channel(str(self.host))
        self.tokens = self._tokens()
        self.client_id = uuid.uuid4().hex
        self.observe = self._open(
            "observe",
            safety_pb2_grpc.SafetyServiceStub(self.channel).Observe,
            safety_pb2.ObserveRequest,
            "inyeon-moderation",
            self._on_observe,
        )
        self.seek = self._open(
            "seek",
            matching_pb2_grpc.MatchingServiceStub(self.channel).Seek,
            matching_pb2.SeekRequest,
            "inyeon-matching",
            self._on_seek,
        )
        self._wish()

    def on_stop(self) -> None:
        """Closes every stream."""
        for stream in (self.converse, self.seek, self.observe):
            if stream is not None:
                stream.close()
        self.channel.close()

    @task
    def tick(self) -> None:
        """A quarter of a second of a device's life."""
        if time.monotonic() - self.told_alive_at >= 1.0:
            self._say_alive()
        if self.match_id and self.converse is None and self.grant is not None:
            self._talk()
        if self.match_id and time.monotonic() - self.matched_at > TALK_S:
            self._leave()
        for name, stream in (("observe", self.observe), ("seek", self.seek)):
            if stream.failure:
                self._fire(f"{name}: stream", 0.0, RuntimeError(stream.failure))
                stream.failure = ""

    def _say_alive(self) -> None:
        self.told_alive_at = time.monotonic()
        sequence = self.observe.send(window=_window())
        self.sent["observe", sequence] = time.monotonic()
        heartbeat = matching_pb2.Heartbeat(safety_pass=self.safety_pass, present=True)
        self.seek.send(heartbeat=heartbeat)

    def _wish(self) -> None:
        self.sought_at = time.monotonic()
        wish = matching_pb2.Wish(
            languages=[matching_pb2.SpokenLanguage(tag=self.language, level=5)],
            interests=_vector(_interests(self.random)),
            translation_welcome=True,
        )
        self.seek.send(wish=wish)

    def _talk(self) -> None:
        self.converse = self._open(
            "converse",
            translation_pb2_grpc.TranslationServiceStub(self.channel).Converse,
            translation_pb2.ConverseRequest,
            "inyeon-translation",
            self._on_converse,
        )
        self.converse.send(grant=translation_pb2.ConverseGrant(grant=self.grant))
        said = translation_pb2.Utterance(
            segment_id=uuid.uuid4().hex, revision=1, text=PHRASES[self.language], is_final=True
        )
        self.sent["converse", self.converse.send(utterance=said)] = time.monotonic()

    def _leave(self) -> None:
        reason = matching_pb2.END_REASON_LEFT
        self.seek.send(end_match=matching_pb2.EndMatch(match_id=self.match_id, reason=reason))
        self._forget_match()
        self._wish()

    def _forget_match(self) -> None:
        self.match_id, self.grant = "", None
        if self.converse is not None:
            self.converse.close()
            self.converse = None

    def _on_observe(self, message: Any) -> None:
        if message.HasField("safety_pass"):
            self.safety_pass = message.safety_pass

    def _on_seek(self, message: Any) -> None:
        kind = message.WhichOneof("kind")
        if kind == "matched" and message.matched.match_id != self.match_id:
            self.match_id, self.grant = message.matched.match_id, message.matched.grant
            self.matched_at = time.monotonic()
            self._fire("seek: time to match", (self.matched_at - self.sought_at) * 1e3)
        elif kind == "match_over" and message.match_over.match_id == self.match_id:
            self._forget_match()
            self._wish()
        if message.sequence:
            self.seek.received(message.sequence)

    def _on_converse(self, message: Any) -> None:
        if message.sequence and self.converse is not None:
            self.converse.received(message.sequence)

    def _open(
        self, name: str, method: Any, request_type: Any, audience: str, heard: Any
    ) -> LoadStream[Any, Any]:
        began = time.monotonic()
        session = uuid.uuid4().hex
        stream: LoadStream[Any, Any] = LoadStream(
            method,
            request_type,
            self.tokens[audience],
            (self.client_id, session),
            heard,
            lambda through: self._on_ack(name, through),
        )
        opened = stream.opened.wait(TOKEN_S)
        error = None if opened else TimeoutError(stream.failure or "not opened")
        self._fire(f"{name}: open", (time.monotonic() - began) * 1e3, error)
        return stream

    def _on_ack(self, name: str, through: int) -> None:
        now = time.monotonic()
        for key in [k for k in self.sent if k[0] == name and k[1] <= through]:
            self._fire(f"{name}: acknowledged", (now - self.sent.pop(key)) * 1e3)

    def _tokens(self) -> dict[str, str]:
        began = time.monotonic()
        request = edge_pb2.IssueTokenRequest(
            age_band=identity_pb2.AGE_BAND_ADULT, country="ES", gender=identity_pb2.GENDER_FEMALE
        )
        stub = edge_pb2_grpc.DevelopmentIdentityServiceStub(self.channel)
        answer = stub.IssueToken(request, timeout=TOKEN_S)
        self._fire("token: issue", (time.monotonic() - began) * 1e3)
        return dict(answer.tokens)

    def _fire(self, name: str, took_ms: float, error: Exception | None = None) -> None:
        events.request.fire(  # type: ignore[no-untyped-call]
            request_type="inyeon",
            name=name,
            response_time=took_ms,
            response_length=0,
            exception=error,
        )


def _window() -> safety_pb2.ObservationWindow:
    quiet = [0.02, 0.01, 0.94, 0.01, 0.02]
    window = safety_pb2.ObservationWindow(
        subject=safety_pb2.OBSERVED_SUBJECT_MYSELF,
        presence=safety_pb2.PRESENCE_STATE_ALONE,
        presence_share=1.0,
        scores=safety_pb2.FilterScores(
            model="nsfw_mobilenet_v2", version="load", frames=2, mean=quiet, max=quiet
        ),
        quality=safety_pb2.PictureQuality(brightness=0.5, sharpness=100.0, frame_rate=15.0),
    )
    window.started_at.FromNanoseconds(time.time_ns() - 1_000_000_000)
    window.duration.FromSeconds(1)
    return window


def _interests(draw: random.Random) -> list[int]:
    """Two of four topics: people who share one have a cosine of about 0.5, others of about 0."""
    chosen = draw.sample(range(TOPICS), TOPICS_EACH)
    topics = [random.Random(f"{SEED} topic {number}") for number in chosen]
    sums = [sum(topic.gauss(0, 30) for topic in topics) + draw.gauss(0, 10) for _ in range(DIMS)]
    return [max(-127, min(127, round(value))) for value in sums]


def _vector(values: list[int]) -> vector_pb2.Vector:
    space = vector_pb2.EmbeddingSpace(
        model="load-test",
        version="1",
        dims=len(values),
        encoding=vector_pb2.VECTOR_ENCODING_INT8_SCALED,
    )
    data = struct.pack("<f", 1 / 127) + struct.pack(f"{len(values)}b", *values)
    return vector_pb2.Vector(space=space, data=data)
