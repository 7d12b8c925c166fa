"""Converse: carries what the person says in a match, hears the captions of what the partner
says."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.descriptor import EnumDescriptor

from inyeon_edge.errors import InputRefused
from inyeon_edge.uplink import facts
from inyeon_edge.uplink.conversation import Conversation, Line
from inyeon_edge.uplink.identity import TRANSLATION
from inyeon_edge.uplink.outbox import MemoryOutbox
from inyeon_edge.uplink.protocol import StreamSettings, StreamSpec
from inyeon_edge.uplink.sender import Sent
from inyeon_protos.translation.v1 import translation_pb2 as pb

TEXT_LIMIT_BYTES = 8192
ID_LIMIT_BYTES = 64

# An acknowledgement waits for the partner's device, so a long silence says nothing here.
_SPEC: StreamSpec[pb.ConverseRequest, pb.ConverseResponse] = StreamSpec(
    "converse", TRANSLATION, pb.ConverseRequest, StreamSettings(ack_stall_s=None)
)


class Converse(Conversation[pb.ConverseRequest, pb.ConverseResponse]):
    """The conversation of one match. Lines said before it opens wait; a line whose stream breaks
    is said again, and the platform knows it by segment and revision."""

    def __init__(
        self,
        line: Line[pb.ConverseRequest, pb.ConverseResponse],
        grant: facts.Statement,
        display_name: str = "",
    ) -> None:
        super().__init__(_SPEC, line, MemoryOutbox())
        self._grant, self._display_name = grant, display_name
        self._segments: dict[int, str] = {}

    def say(self, segment_id: str, text: str, language_hint: str = "") -> None:
        """Says a whole line. Raises InputRefused (see `check_line`) and OutboxFull."""
        check_line(segment_id, text)
        utterance = pb.Utterance(
            segment_id=segment_id,
            revision=1,
            text=text,
            is_final=True,
            language_hint=language_hint,
        )
        self._segments[self.stream.send(pb.ConverseRequest(utterance=utterance))] = segment_id

    def renew(self, grant: facts.Statement) -> None:
        """Goes on with a newer grant of the same match."""
        self._grant = grant
        self.stream.say_now(self._grant_message())

    def preamble(self) -> Sequence[pb.ConverseRequest]:
        return (self._grant_message(),)

    def acknowledged(self, done: Sequence[Sent], carrier: pb.ConverseResponse | None) -> None:
        for sent in done:
            segment_id = self._segments.pop(sent.key, None)
            if segment_id is not None:
                self._tell(facts.Said(segment_id, sent.sequence))

    def received(self, message: pb.ConverseResponse) -> None:
        kind = message.WhichOneof("kind")
        if kind == "caption":
            self._tell(caption_told(message.caption))
        elif kind == "over":
            self._tell(facts.ConversationOver(message.over.match_id, message.over.reason))

    def _grant_message(self) -> pb.ConverseRequest:
        grant = pb.ConverseGrant(grant=self._grant.message(), display_name=self._display_name)
        return pb.ConverseRequest(grant=grant)


def check_line(segment_id: str, text: str) -> None:
    """Raises InputRefused naming `id` or `text` where the contract would refuse the line."""
    if not text.strip():
        raise InputRefused("there is nothing to say", reason="TEXT_EMPTY", field="text")
    if len(text.encode()) > TEXT_LIMIT_BYTES:
        message = f"a line has at most {TEXT_LIMIT_BYTES} bytes"
        raise InputRefused(message, reason="TEXT_TOO_LONG", field="text")
    if not 0 < len(segment_id.encode()) <= ID_LIMIT_BYTES:
        message = f"an id has 1 to {ID_LIMIT_BYTES} bytes"
        raise InputRefused(message, reason="ID_INVALID", field="id")


def caption_told(told: pb.Caption) -> facts.CaptionTold:
    """A caption as the agent knows it; what a newer platform says more of is kept safe."""
    return facts.CaptionTold(
        told.author_id,
        told.segment_id,
        told.revision,
        told.text,
        _name(pb.Tier.DESCRIPTOR, told.tier, "TIER_"),
        told.untranslated,
        told.is_final,
        told.source_language,
        told.target_language,
        _name(pb.Screen.DESCRIPTOR, told.screen, "SCREEN_"),
        told.screen_reason,
    )


def _name(kind: EnumDescriptor, value: int, prefix: str) -> str:
    """Name of a value; UNKNOWN for one of a newer contract."""
    known = kind.values_by_number.get(value)
    return "UNKNOWN" if known is None else str(known.name).removeprefix(prefix)
