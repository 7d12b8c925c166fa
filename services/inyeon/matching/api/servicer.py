"""MatchingService on the ground's stream server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from inyeon.runtime.streams.server import StreamServer
from inyeon_protos.matching.v1 import matching_pb2_grpc
from inyeon_protos.matching.v1.matching_pb2 import SeekRequest, SeekResponse


class SeekServicer(matching_pb2_grpc.MatchingServiceServicer):
    """Hands Seek to its stream server."""

    def __init__(self, stream: StreamServer[SeekRequest, SeekResponse]) -> None:
        self._stream = stream

    def Seek(
        self, request_iterator: AsyncIterator[SeekRequest], context: Any
    ) -> AsyncIterator[SeekResponse]:
        """The whole life of one stream."""
        return self._stream.serve(request_iterator, context)
