"""Who asks over HTTP: a bearer token's claims.

In development, where identity is anybody's word anyway, nobody needs a token; then a page of
another site must not be able to post anything, so only same-origin requests may change anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request

from inyeon.runtime.errors import NotAllowed, NotAuthenticated
from inyeon.runtime.identity.claims import Claims

Authenticate = Callable[[str], Awaitable[Claims]]
"""Claims of a bearer token. Raises NotAuthenticated."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    subject: str
    roles: frozenset[str]


CallerOf = Callable[[Request], Awaitable[Caller]]


def callers(authenticate: Authenticate | None, *, development: bool, role: str) -> CallerOf:
    """In development who has no token has `role`. Raises NotAuthenticated (TOKEN_MISSING),
    NotAllowed (FOREIGN_ORIGIN)."""

    async def caller(request: Request) -> Caller:
        if request.method != "GET":
            _same_origin(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and authenticate is not None:
            claims = await authenticate(token.strip())
            return Caller(claims.subject, claims.roles)
        if development:
            return Caller("development", frozenset({role}))
        raise NotAuthenticated("a bearer token is needed", reason="TOKEN_MISSING")

    return caller


def _same_origin(request: Request) -> None:
    """Raises NotAllowed where a browser says that another site made this request."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if site not in ("same-origin", "none") or origin not in (None, own):
        raise NotAllowed("changes come from this site's own page", reason="FOREIGN_ORIGIN")
