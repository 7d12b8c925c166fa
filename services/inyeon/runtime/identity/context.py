"""The caller of the RPC that runs now. Set by the identity interceptor, read by whoever asks."""

from __future__ import annotations

from contextvars import ContextVar

from inyeon.runtime.errors import NotAuthenticated
from inyeon.runtime.identity.claims import Claims

_current: ContextVar[Claims | None] = ContextVar("inyeon_claims", default=None)


def current_claims() -> Claims:
    """Claims of the verified token. Raises NotAuthenticated (TOKEN_MISSING) in an open method."""
    claims = _current.get()
    if claims is None:
        raise NotAuthenticated("a token is needed", reason="TOKEN_MISSING", field="authorization")
    return claims


def set_current_claims(claims: Claims | None) -> None:
    """For the interceptor and for tests: holds in this task and in those it starts."""
    _current.set(claims)
