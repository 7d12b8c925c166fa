"""Observe: says what the device saw, keeps the newest safety pass, hears directives."""

from __future__ import annotations

from collections.abc import Sequence

from inyeon_edge.uplink.conversation import Conversation, Line
from inyeon_edge.uplink.facts import (
    Action,
    DirectiveTold,
    Pass,
    PassTold,
    PolicyTold,
    Statement,
    Subject,
    VerdictTold,
)
from inyeon_edge.uplink.identity import MODERATION
from inyeon_edge.uplink.protocol import StreamSpec
from inyeon_edge.uplink.ring import DiskRing
from inyeon_edge.uplink.sender import Sent
from inyeon_protos.moderation.v1.safety_pb2 import (
    Directive,
    DirectiveAction,
    ObservationWindow,
    ObservedSubject,
    ObserveRequest,
    ObserveResponse,
    Verdict,
)

_SPEC: StreamSpec[ObserveRequest, ObserveResponse] = StreamSpec(
    "observe", MODERATION, ObserveRequest
)
_SESSION = "observe.session_id"


class Observe(Conversation[ObserveRequest, ObserveResponse]):
    """The observation session of this installation; a restarted agent goes on with it."""

    def __init__(self, line: Line[ObserveRequest, ObserveResponse], ring: DiskRing) -> None:
        super().__init__(_SPEC, line, ring, ring.fact(_SESSION))
        self._ring = ring
        self._pass: Pass | None = None

    def see(self, window: ObservationWindow) -> None:
        """Keeps a window until moderation has it. My own go first when the ring is full: the
        next one replaces them soon, while a partner's window may be the only witness."""
        mine = window.subject == ObservedSubject.OBSERVED_SUBJECT_MYSELF
        self.stream.send(ObserveRequest(window=window), goes_first=mine)

    def safety_pass(self) -> Statement | None:
        """The newest pass while it lives."""
        if self._pass is None or self._pass.ends_at_s <= self._clock.monotonic():
            return None
        return self._pass.statement

    def opened(self, epoch: int) -> None:
        self._ring.note(_SESSION, self.stream.session_id)
        super().opened(epoch)

    def acknowledged(self, done: Sequence[Sent], carrier: ObserveResponse | None) -> None:
        if carrier is None or not carrier.HasField("safety_pass"):
            return
        had_none = self.safety_pass() is None
        self._pass = Pass.received(carrier.safety_pass, self._clock.monotonic())
        if had_none:
            self._tell(PassTold())

    def received(self, message: ObserveResponse) -> None:
        kind = message.WhichOneof("kind")
        if kind == "directive":
            self._direct(message.directive)
        elif kind == "verdict":
            told = message.verdict
            name = Verdict.Name(told.verdict).removeprefix("VERDICT_")
            self._tell(VerdictTold(name, told.reason, told.policy_version))
        elif kind == "policy":
            policy = message.policy
            self._tell(PolicyTold(policy.name, policy.version, dict(policy.cover_at)))

    def _direct(self, directive: Directive) -> None:
        action = DirectiveAction.Name(directive.action).removeprefix("DIRECTIVE_ACTION_")
        if action == "UNSPECIFIED":
            return
        partner = directive.subject == ObservedSubject.OBSERVED_SUBJECT_PARTNER
        self._tell(
            DirectiveTold(
                Action(action),
                Subject.PARTNER if partner else Subject.MYSELF,
                directive.reason,
                directive.match_id,
                directive.policy_version,
                directive.directive_id,
            )
        )
