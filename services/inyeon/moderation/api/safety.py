"""SafetyService and ReviewService over gRPC. Identity, field rules and error mapping are the
interceptor's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import grpc

from inyeon.moderation.api import review
from inyeon.moderation.app.ports import NewReport
from inyeon.moderation.app.reporting import Reporting
from inyeon.moderation.app.reviewing import Reviewing
from inyeon.runtime.errors import InvalidRequest
from inyeon.runtime.identity.context import current_claims
from inyeon_protos.moderation.v1 import review_pb2, review_pb2_grpc, safety_pb2, safety_pb2_grpc

REASONS = {
    safety_pb2.REPORT_REASON_NUDITY: "REPORTED_NUDITY",
    safety_pb2.REPORT_REASON_HARASSMENT: "REPORTED_HARASSMENT",
    safety_pb2.REPORT_REASON_HATE: "REPORTED_HATE",
    safety_pb2.REPORT_REASON_MINOR: "REPORTED_MINOR",
    safety_pb2.REPORT_REASON_SCAM: "REPORTED_SCAM",
    safety_pb2.REPORT_REASON_OTHER: "REPORTED_OTHER",
}

Requests = AsyncIterator[safety_pb2.ObserveRequest]
Responses = AsyncIterator[safety_pb2.ObserveResponse]


class ObserveServer(Protocol):
    """The ground's stream server, as far as the servicer needs it."""

    def serve(
        self,
        requests: Requests,
        context: grpc.aio.ServicerContext[safety_pb2.ObserveRequest, safety_pb2.ObserveResponse],
    ) -> Responses:
        """Speaks the stream protocol until the stream is over."""
        ...


class SafetyApi(safety_pb2_grpc.SafetyServiceServicer):
    """Observe, Report, Block."""

    def __init__(self, streams: ObserveServer, reporting: Reporting) -> None:
        self._streams = streams
        self._reporting = reporting

    def Observe(
        self,
        request_iterator: Requests,
        context: grpc.aio.ServicerContext[safety_pb2.ObserveRequest, safety_pb2.ObserveResponse],
    ) -> Responses:
        """Windows in, directives and acknowledgements out."""
        return self._streams.serve(request_iterator, context)

    async def Report(
        self,
        request: safety_pb2.ReportRequest,
        context: grpc.aio.ServicerContext[safety_pb2.ReportRequest, safety_pb2.ReportResponse],
    ) -> safety_pb2.ReportResponse:
        """Opens or joins a case and parts the two."""
        reason = REASONS.get(request.reason)
        if reason is None:
            raise InvalidRequest(
                f"{request.reason} is no report reason", reason="ENUM_UNKNOWN", field="reason"
            )
        case_id = await self._reporting.report(
            NewReport(
                request.request_id,
                current_claims().subject,
                request.reported_id,
                request.match_id,
                reason,
                request.note,
            )
        )
        return safety_pb2.ReportResponse(case_id=case_id)

    async def Block(
        self,
        request: safety_pb2.BlockRequest,
        context: grpc.aio.ServicerContext[safety_pb2.BlockRequest, safety_pb2.BlockResponse],
    ) -> safety_pb2.BlockResponse:
        """Parts the two."""
        await self._reporting.block(current_claims().subject, request.blocked_id)
        return safety_pb2.BlockResponse()


class ReviewApi(review_pb2_grpc.ReviewServiceServicer):
    """ListCases and DecideCase, for reviewers."""

    def __init__(self, reviewing: Reviewing) -> None:
        self._reviewing = reviewing

    async def ListCases(
        self,
        request: review_pb2.ListCasesRequest,
        context: grpc.aio.ServicerContext[
            review_pb2.ListCasesRequest, review_pb2.ListCasesResponse
        ],
    ) -> review_pb2.ListCasesResponse:
        """A page of cases, most urgent first."""
        return await review.list_cases(self._reviewing, current_claims().roles, request)

    async def DecideCase(
        self,
        request: review_pb2.DecideCaseRequest,
        context: grpc.aio.ServicerContext[
            review_pb2.DecideCaseRequest, review_pb2.DecideCaseResponse
        ],
    ) -> review_pb2.DecideCaseResponse:
        """Closes a case."""
        claims = current_claims()
        return await review.decide_case(self._reviewing, claims.roles, claims.subject, request)
