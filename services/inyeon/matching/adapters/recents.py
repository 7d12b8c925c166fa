"""What a record keeps of recent conversations, as protobuf and back."""

from __future__ import annotations

from inyeon.matching.domain.interests import Encoding, Space
from inyeon.matching.domain.recents import Recent
from inyeon_protos.common.v1 import vector_pb2
from inyeon_protos.events.v1 import events_pb2


def recent_to(place: int, recent: Recent | None) -> events_pb2.WaveRecent:
    """Without a space where nothing is known any more."""
    if recent is None:
        return events_pb2.WaveRecent(place=place)
    return events_pb2.WaveRecent(
        place=place,
        space=vector_pb2.EmbeddingSpace(
            model=recent.space.model,
            version=recent.space.version,
            dims=recent.space.dims,
            encoding=vector_pb2.VectorEncoding.ValueType(int(recent.space.encoding)),
            scale=recent.space.scale,
        ),
        steps=recent.steps,
        step=recent.step,
        usual_log=recent.usual_log,
        ended_s=recent.ended_s,
    )


def recent_from(message: events_pb2.WaveRecent) -> Recent | None:
    """Raises ValueError (RecentRefused) where the numbers are none."""
    if not message.HasField("space"):
        return None
    space = message.space
    return Recent(
        Space(space.model, space.version, space.dims, Encoding(space.encoding), space.scale),
        message.steps,
        message.step,
        message.usual_log,
        message.ended_s,
    )
