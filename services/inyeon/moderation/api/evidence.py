"""EvidenceService over gRPC: the one message of the platform that carries a picture."""

from __future__ import annotations

import grpc

from inyeon.moderation.app.evidencing import Evidencing
from inyeon.runtime.identity.context import current_claims
from inyeon_protos.moderation.v1 import safety_pb2, safety_pb2_grpc


class EvidenceApi(safety_pb2_grpc.EvidenceServiceServicer):
    """Submit."""

    def __init__(self, evidencing: Evidencing) -> None:
        self._evidencing = evidencing

    async def Submit(
        self,
        request: safety_pb2.SubmitRequest,
        context: grpc.aio.ServicerContext[safety_pb2.SubmitRequest, safety_pb2.SubmitResponse],
    ) -> safety_pb2.SubmitResponse:
        """Judges one picture that was asked for."""
        jpeg = request.jpeg
        request.ClearField("jpeg")  # what else sees this message, a log of it, sees no picture
        await self._evidencing.submit(
            current_claims().subject,
            request.request_id,
            request.directive_id,
            jpeg,
            consent=request.consent,
        )
        return safety_pb2.SubmitResponse()
