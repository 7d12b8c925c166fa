"""DevelopmentIdentityService over gRPC: tokens without proof, in development only."""

from __future__ import annotations

import secrets
from typing import Protocol

import grpc

from inyeon.runtime.identity.claims import AgeBand, Gender
from inyeon.runtime.identity.tokens import SERVICES, TOKEN_LIFETIME, audience_of
from inyeon_protos.common.v1 import identity_pb2
from inyeon_protos.edge.v1 import edge_pb2, edge_pb2_grpc

AGE_BANDS = {
    identity_pb2.AGE_BAND_MINOR: AgeBand.MINOR,
    identity_pb2.AGE_BAND_ADULT: AgeBand.ADULT,
}
GENDERS = {
    identity_pb2.GENDER_UNSPECIFIED: Gender.UNKNOWN,
    identity_pb2.GENDER_FEMALE: Gender.FEMALE,
    identity_pb2.GENDER_MALE: Gender.MALE,
    identity_pb2.GENDER_OTHER: Gender.OTHER,
}


class Issuer(Protocol):
    """Signs tokens."""

    def issue(
        self, subject: str, audience: str, *, age_band: AgeBand, country: str, gender: Gender
    ) -> str:
        """A signed JWT."""
        ...


class DevelopmentIdentityApi(edge_pb2_grpc.DevelopmentIdentityServiceServicer):
    """Issues one token for each audience."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    async def IssueToken(
        self,
        request: edge_pb2.IssueTokenRequest,
        context: grpc.aio.ServicerContext[edge_pb2.IssueTokenRequest, edge_pb2.IssueTokenResponse],
    ) -> edge_pb2.IssueTokenResponse:
        """Declared facts become signed claims. The request was validated by its field rules."""
        subject = request.subject or f"u-{secrets.token_urlsafe(9)}"
        answer = edge_pb2.IssueTokenResponse(subject=subject)
        for audience in map(audience_of, SERVICES):
            answer.tokens[audience] = self._issuer.issue(
                subject,
                audience,
                age_band=AGE_BANDS[request.age_band],
                country=request.country,
                gender=GENDERS[request.gender],
            )
        answer.expires_in.FromSeconds(int(TOKEN_LIFETIME.total_seconds()))
        return answer
