"""Frames of passes as bytes and back: protobuf, squeezed, cut into pieces that fit into records."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from pydantic import TypeAdapter

from inyeon.matching.adapters.recents import recent_from, recent_to
from inyeon.matching.adapters.wire import ticket_from, ticket_to
from inyeon.matching.app.recording import Asked
from inyeon.matching.domain.frames import Entry, Frame
from inyeon.matching.domain.refusals import WishRefused
from inyeon.matching.domain.score_models import ScoreModel
from inyeon.matching.domain.waves import WaveRules
from inyeon.runtime.log.poison import PoisonRecord
from inyeon_protos.events.v1 import events_pb2

PIECE_BYTES = 128 * 1024
"""Half of what a record may hold: the rest is for pairs and envelope (20,000 people in 10,000 pairs
take 500 kB, which is cut by the book's own chunks, not here)."""
SQUEEZE = 1
"""zlib level: names of spaces, pools and models repeat; higher levels gain a few per cent."""
MOST_BYTES = 64 * 1024 * 1024
"""Of one frame when read: 100,000 people take some 25 MB; more is garbage."""


class ProtoFrames:
    """`FrameCodec`."""

    def encode(self, frame: Frame, asked: Asked) -> tuple[bytes, ...]:
        squeezed = zlib.compress(_message(frame, asked).SerializeToString(), SQUEEZE)
        count = max(1, -(-len(squeezed) // PIECE_BYTES))
        return tuple(squeezed[n * PIECE_BYTES : (n + 1) * PIECE_BYTES] for n in range(count))


def read_frame(
    parts: Sequence[bytes], rules: WaveRules | None
) -> tuple[Frame, WaveRules | None, NDArray[np.int64] | None]:
    """Frame, rules (those given where it is no key frame) and seekers. Raises PoisonRecord
    (FRAME_UNREADABLE)."""
    try:
        message = events_pb2.WaveInputs.FromString(_opened(b"".join(parts)))
        frame = _frame(message)
        known = _rules().validate_json(message.rules) if message.rules else rules
        if known is not None and message.score:
            known = replace(known, score=_score().validate_json(message.score))
    except (zlib.error, DecodeError, WishRefused, ValueError) as error:
        raise PoisonRecord("FRAME_UNREADABLE", str(error)[:200]) from error
    seekers = np.array(message.seekers, np.int64) if message.only_seekers else None
    return frame, known, seekers


def _opened(squeezed: bytes) -> bytes:
    opening = zlib.decompressobj()
    opened = opening.decompress(squeezed, MOST_BYTES)
    if not opening.eof:
        raise ValueError(f"cut short, or more than {MOST_BYTES} bytes")
    return opened


@cache
def _rules() -> TypeAdapter[WaveRules]:
    return TypeAdapter(WaveRules)


@cache
def _score() -> TypeAdapter[ScoreModel]:
    return TypeAdapter(ScoreModel)


def _message(frame: Frame, asked: Asked) -> events_pb2.WaveInputs:
    return events_pb2.WaveInputs(
        base=frame.base,
        now=frame.now,
        entered=[_entry_to(one) for one in frame.entered],
        left=frame.left.tolist(),
        barred=frame.barred.ravel().tolist(),
        unbarred=frame.unbarred.ravel().tolist(),
        odd=frame.odd.tolist(),
        odd_waited_s=frame.odd_waited_s.tolist(),
        only_seekers=asked.seekers is not None,
        seekers=[] if asked.seekers is None else asked.seekers.tolist(),
        recents=[recent_to(place, recent) for place, recent in frame.recents],
        rules="" if frame.base else _rules().dump_json(asked.rules).decode(),
        score=_score().dump_json(asked.rules.score).decode() if frame.base else "",
    )


def _entry_to(entry: Entry) -> events_pb2.WaveEntry:
    message = events_pb2.WaveEntry(
        place=entry.place, started=entry.started, paused_s=entry.paused_s
    )
    if entry.ticket is None:
        message.ticket_id = entry.ticket_id
    else:
        ticket = ticket_to(entry.ticket, "")
        ticket.ClearField("session_id")
        ticket.ClearField("device")  # no pass reads them; whom a device bars is among the bars
        message.ticket.CopyFrom(ticket)
    return message


def _frame(message: events_pb2.WaveInputs) -> Frame:
    return Frame(
        base=message.base,
        now=message.now,
        entered=tuple(_entry_from(one) for one in message.entered),
        left=np.array(message.left, np.int64),
        barred=np.array(message.barred, np.int64).reshape(-1, 2),
        unbarred=np.array(message.unbarred, np.int64).reshape(-1, 2),
        odd=np.array(message.odd, np.int64),
        odd_waited_s=np.array(message.odd_waited_s, np.float64),
        recents=tuple((one.place, recent_from(one)) for one in message.recents),
    )


def _entry_from(message: events_pb2.WaveEntry) -> Entry:
    ticket = ticket_from(message.ticket) if message.HasField("ticket") else None
    ticket_id = message.ticket_id if ticket is None else ticket.ticket_id
    return Entry(message.place, ticket_id, ticket, message.started, message.paused_s)
