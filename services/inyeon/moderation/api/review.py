"""ReviewService over gRPC."""

from __future__ import annotations

from inyeon.moderation.adapters.wire import DECISION_CODES, DECISIONS, VERDICTS, timestamp
from inyeon.moderation.app.reviewing import Reviewing
from inyeon.moderation.domain.cases import Case, Decision
from inyeon.runtime.errors import InvalidRequest
from inyeon_protos.moderation.v1 import review_pb2

STATES: dict[int, bool | None] = {
    review_pb2.CASE_STATE_UNSPECIFIED: None,
    review_pb2.CASE_STATE_OPEN: True,
    review_pb2.CASE_STATE_CLOSED: False,
}


def state_of(code: int) -> bool | None:
    """Open, closed or all. Raises InvalidRequest for an unknown state."""
    if code not in STATES:
        raise InvalidRequest(f"{code} is no case state", reason="ENUM_UNKNOWN", field="state")
    return STATES[code]


def decision_of(code: int) -> Decision:
    """Raises InvalidRequest for none or an unknown decision."""
    decisions: dict[int, Decision] = {int(known): value for known, value in DECISIONS.items()}
    decision = decisions.get(code)
    if decision is None:
        raise InvalidRequest(f"{code} is no decision", reason="ENUM_UNKNOWN", field="decision")
    return decision


def case_to(case: Case) -> review_pb2.Case:
    """A case as it travels."""
    message = review_pb2.Case(
        case_id=case.case_id,
        user_id=case.user_id,
        session_id=case.session_id,
        match_id=case.match_id,
        state=review_pb2.CASE_STATE_OPEN if case.open else review_pb2.CASE_STATE_CLOSED,
        reason=case.reason,
        verdict=VERDICTS[case.verdict],
        policy_version=case.policy_version,
        opened_at=timestamp(case.opened_at),
    )
    if case.closed_at is not None and case.decision is not None:
        message.closed_at.CopyFrom(timestamp(case.closed_at))
        message.decision = DECISION_CODES[case.decision]
    return message


async def list_cases(
    reviewing: Reviewing, roles: frozenset[str], request: review_pb2.ListCasesRequest
) -> review_pb2.ListCasesResponse:
    """ListCases."""
    page, following = await reviewing.cases(
        roles,
        open_only=state_of(request.state),
        size=request.page_size,
        after=request.page_token,
    )
    return review_pb2.ListCasesResponse(
        cases=[case_to(case) for case in page], next_page_token=following
    )


async def decide_case(
    reviewing: Reviewing,
    roles: frozenset[str],
    reviewer: str,
    request: review_pb2.DecideCaseRequest,
) -> review_pb2.DecideCaseResponse:
    """DecideCase."""
    case = await reviewing.decide(
        roles, reviewer, request.case_id, decision_of(request.decision), request.note
    )
    return review_pb2.DecideCaseResponse(case=case_to(case))
