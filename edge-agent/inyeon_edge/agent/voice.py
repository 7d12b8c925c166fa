"""Builds what speaks with the platform: channels, identity, the three conversations, calls."""

from __future__ import annotations

from collections.abc import Callable
from random import Random, SystemRandom

from grpc import aio

from inyeon_edge.agent.caller import WebRtcCaller
from inyeon_edge.call.frames import OutgoingFrames
from inyeon_edge.call.signalling import GrpcSignalling
from inyeon_edge.settings import Settings
from inyeon_edge.uplink.channel import GrpcTransport, open_channel
from inyeon_edge.uplink.clock import Clock
from inyeon_edge.uplink.conversation import Line, Tell
from inyeon_edge.uplink.converse import Converse
from inyeon_edge.uplink.facts import Attention, Statement
from inyeon_edge.uplink.identity import Declared, DevelopmentIssuer, Identity
from inyeon_edge.uplink.observe import Observe
from inyeon_edge.uplink.ring import DiskRing
from inyeon_edge.uplink.seek import Condition, Seek
from inyeon_protos.matching.v1.matching_pb2 import SeekRequest, SeekResponse, Wish
from inyeon_protos.matching.v1.matching_pb2_grpc import MatchingServiceStub
from inyeon_protos.moderation.v1.safety_pb2 import ObserveRequest, ObserveResponse
from inyeon_protos.moderation.v1.safety_pb2_grpc import SafetyServiceStub
from inyeon_protos.translation.v1.translation_pb2 import ConverseRequest, ConverseResponse
from inyeon_protos.translation.v1.translation_pb2_grpc import TranslationServiceStub

CLOSE_S = 0.3  # calls are over by then; what is not is cut
HEALTH_OF = {
    "moderation": "inyeon.moderation.v1.SafetyService",
    "matching": "inyeon.matching.v1.MatchingService",
    "translation": "inyeon.translation.v1.TranslationService",
    "gateway": "inyeon.edge.v1.SignallingService",
}
"""Whose health decides among several replicas of a service."""


class Voice:
    """One channel for each endpoint, one identity for all."""

    def __init__(
        self,
        settings: Settings,
        subject: str,
        client_id: str,
        clock: Clock,
        tell: Tell,
        frames: OutgoingFrames,
    ) -> None:
        self._settings, self._client_id, self._clock, self._tell = settings, client_id, clock, tell
        self._rng: Random = SystemRandom()
        self._channels: dict[str, aio.Channel] = {}
        declared = Declared(subject, settings.age_band, settings.country, settings.gender)
        gateway = self._channel("gateway")
        self.identity = Identity(DevelopmentIssuer(gateway, declared), clock)
        self.caller = WebRtcCaller(GrpcSignalling(gateway, self.identity), frames, clock, self._rng)

    def observe(self, ring: DiskRing) -> Observe:
        """The observation session of this installation."""
        transport: GrpcTransport[ObserveRequest, ObserveResponse] = GrpcTransport(
            SafetyServiceStub(self._channel("moderation")).Observe
        )
        line = Line(transport, self.identity, self._clock, self._rng, self._client_id, self._tell)
        return Observe(line, ring)

    def seek(
        self,
        wish: Wish,
        safety_pass: Callable[[], Statement | None],
        attention: Callable[[], Attention],
    ) -> Seek:
        """The search for somebody."""
        transport: GrpcTransport[SeekRequest, SeekResponse] = GrpcTransport(
            MatchingServiceStub(self._channel("matching")).Seek
        )
        line = Line(transport, self.identity, self._clock, self._rng, self._client_id, self._tell)
        return Seek(line, wish, Condition(safety_pass, attention))

    def converse(self, grant: Statement) -> Converse:
        """The conversation of a match."""
        transport: GrpcTransport[ConverseRequest, ConverseResponse] = GrpcTransport(
            TranslationServiceStub(self._channel("translation")).Converse
        )
        line = Line(transport, self.identity, self._clock, self._rng, self._client_id, self._tell)
        return Converse(line, grant, self._settings.name)

    async def close(self) -> None:
        """Closes calls and channels."""
        self.caller.close()
        for channel in self._channels.values():
            await channel.close(CLOSE_S)

    def _channel(self, service: str) -> aio.Channel:
        endpoint = self._settings.endpoint_of(service)
        # Replicas are chosen by the health of one service; a single address serves them all.
        name = f"{endpoint} {service}" if "," in endpoint else endpoint
        if name not in self._channels:
            self._channels[name] = open_channel(endpoint, HEALTH_OF[service])
        return self._channels[name]
