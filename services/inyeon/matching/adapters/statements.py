"""Safety passes in, match grants out: signed statements of the ground."""

from __future__ import annotations

from datetime import UTC, datetime

from inyeon.matching.adapters.wire import grant_fact
from inyeon.matching.app.ports import GRANT_LIFE, PassFacts, SignedPass
from inyeon.matching.domain.matches import LiveMatch
from inyeon.matching.domain.news import SignedGrant
from inyeon.runtime.errors import StatementRefused
from inyeon.runtime.identity.statements import StatementSigner, StatementVerifier
from inyeon.runtime.identity.statements_pb import seal, unseal
from inyeon_protos.common.v1.identity_pb2 import SafetyPass, SignedStatement


class StatementPasses:
    """Reads passes that moderation signed."""

    def __init__(self, verifier: StatementVerifier) -> None:
        self._verifier = verifier

    def read(self, signed: SignedPass, at: datetime) -> PassFacts | None:
        statement = SignedStatement(
            key_id=signed.key_id, payload=signed.payload, signature=signed.signature
        )
        try:
            fact = unseal(self._verifier, statement, SafetyPass, at)
        except StatementRefused as refused:
            if refused.reason == "EXPIRED":
                return None
            raise
        return PassFacts(
            fact.user_id,
            fact.device_key,
            fact.policy_version,
            fact.issued_at.ToDatetime(tzinfo=UTC),
            fact.expires_at.ToDatetime(tzinfo=UTC),
        )


class StatementGrants:
    """Signs grants with matching's key."""

    def __init__(self, signer: StatementSigner) -> None:
        self._signer = signer

    def sign(self, match: LiveMatch, user_id: str, at: datetime) -> SignedGrant:
        sealed = seal(self._signer, grant_fact(match, user_id, at, GRANT_LIFE))
        return SignedGrant(sealed.key_id, sealed.payload, sealed.signature)
