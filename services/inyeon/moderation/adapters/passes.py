"""Safety passes: 30 s, bound to user, session, device key and policy version, signed with
moderation's key."""

from __future__ import annotations

from datetime import datetime, timedelta

from inyeon.moderation.adapters.wire import timestamp
from inyeon.moderation.app.ports import SignedPass
from inyeon.runtime.identity.statements import StatementSigner
from inyeon.runtime.identity.statements_pb import seal
from inyeon_protos.common.v1.identity_pb2 import SafetyPass

LIVES = timedelta(seconds=30)


class SealedPasses:
    """Passes as sealed statements."""

    def __init__(self, signer: StatementSigner) -> None:
        self._signer = signer

    def sign(
        self, user_id: str, session_id: str, device_key: str, policy_version: str, at: datetime
    ) -> SignedPass:
        fact = SafetyPass(
            user_id=user_id,
            session_id=session_id,
            device_key=device_key,
            policy_version=policy_version,
            issued_at=timestamp(at),
            expires_at=timestamp(at + LIVES),
        )
        sealed = seal(self._signer, fact)
        return SignedPass(sealed.key_id, sealed.payload, sealed.signature)
