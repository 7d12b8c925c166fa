"""Tokens: JWT (RFC 7519) signed with Ed25519, after the rules of RFC 8725.

One algorithm and no other, a key by its id, issuer and audience checked, at most 15 minutes long.
The algorithm's name is the fully specified one of RFC 9864 (`Ed25519`, not `EdDSA`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import extract_compact

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import NotAuthenticated
from inyeon.runtime.identity.claims import AgeBand, Claims, Gender
from inyeon.runtime.identity.keys import key_id
from inyeon.runtime.identity.keysets import KeySource

ALGORITHM = "Ed25519"
TOKEN_LIFETIME = timedelta(minutes=15)
SKEW = timedelta(seconds=60)
SERVICES = ("matching", "moderation", "translation", "gateway")
INTERNAL_AUDIENCE = "inyeon-internal"
DEVELOPMENT_ISSUER = "inyeon-development"

_SUBJECT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOKEN_MAX_BYTES = 4096  # as TokenRenewal.token in the contract
Choice = TypeVar("Choice", bound=Enum)


def audience_of(service: str) -> str:
    """Audience of a service's tokens, such as `inyeon-matching`."""
    return f"inyeon-{service}"


class TokenIssuer:
    """Issues tokens with a local key: development identity, and service tokens between replicas."""

    def __init__(
        self, key: Ed25519PrivateKey, clock: Clock, issuer: str = DEVELOPMENT_ISSUER
    ) -> None:
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._key = OKPKey.import_key(pem)
        self._key_id = key_id(key.public_key())
        self._clock = clock
        self.issuer = issuer

    def issue(
        self,
        subject: str,
        audience: str,
        *,
        age_band: AgeBand = AgeBand.UNKNOWN,
        country: str = "",
        gender: Gender = Gender.UNKNOWN,
        roles: Iterable[str] = (),
        device_key: str = "",
        lifetime: timedelta = TOKEN_LIFETIME,
    ) -> str:
        """A token for one audience. Raises ValueError for a subject that is not 1 to 64 characters
        of [A-Za-z0-9_-] or a lifetime over 15 minutes.
        """
        if not _SUBJECT.fullmatch(subject) or lifetime > TOKEN_LIFETIME:
            raise ValueError("a token needs a plain subject and at most 15 minutes")
        issued_at = int(self._clock.now().timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": subject,
            "aud": audience,
            "iat": issued_at,
            "nbf": issued_at,
            "exp": issued_at + int(lifetime.total_seconds()),
            "age_band": age_band.value,
            "country": country,
            "gender": gender.value,
            "roles": sorted(roles),
        }
        if device_key:
            claims["cnf"] = {"jkt": device_key}  # confirmation by thumbprint, as RFC 9449 names it
        header = {"alg": ALGORITHM, "kid": self._key_id}
        return jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])

    def issue_all(self, subject: str, **facts: Any) -> dict[str, str]:
        """Tokens for every public service, by audience; `facts` as for `issue`."""
        audiences = map(audience_of, SERVICES)
        return {audience: self.issue(subject, audience, **facts) for audience in audiences}

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public key as a JWKS document, for verifiers."""
        public = {k: str(v) for k, v in self._key.as_dict(private=False).items()}
        return {"keys": [public | {"kid": self._key_id, "alg": ALGORITHM, "use": "sig"}]}


class TokenVerifier:
    """Turns a token into claims, or says precisely why not.

    NotAuthenticated with reason TOKEN_MISSING (empty), TOKEN_INVALID (malformed, wrong algorithm,
    unknown key, bad signature, not yet valid, longer than 15 min, no subject), TOKEN_FOREIGN
    (another issuer or audience), TOKEN_EXPIRED (more than SKEW ago).
    """

    def __init__(self, keys: KeySource, clock: Clock, issuer: str = DEVELOPMENT_ISSUER) -> None:
        self._keys = keys
        self._clock = clock
        self._issuer = issuer

    async def verify(self, token: str, audience: str) -> Claims:
        """Claims of the token. Raises NotAuthenticated as above, Unavailable without any keys."""
        if not token:
            raise _refusal("TOKEN_MISSING", "a token is needed")
        if len(token) > _TOKEN_MAX_BYTES:
            raise _refusal("TOKEN_INVALID", "the token is too long")
        claims = await self._signed_claims(token)
        if claims.get("iss") != self._issuer or claims.get("aud") != audience:
            raise _refusal("TOKEN_FOREIGN", f"the token is not for {audience} by our issuer")
        expires_at = self._checked_times(claims)
        return _read_claims(claims, audience, expires_at)

    async def _signed_claims(self, token: str) -> Mapping[str, Any]:
        try:
            named = extract_compact(token.encode()).headers()["kid"]
            key = await self._keys.key(str(named))
            if key is None:
                raise _refusal("TOKEN_INVALID", "the token's key is not known")
            return jwt.decode(token, key, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError, KeyError, TypeError):
            raise _refusal("TOKEN_INVALID", "the token does not hold") from None

    def _checked_times(self, claims: Mapping[str, Any]) -> datetime:
        now = self._clock.now()
        times = [claims.get(name) for name in ("iat", "nbf", "exp")]
        try:
            issued_at, valid_from, expires_at = (_moment(time) for time in times)
        except (TypeError, ValueError, OverflowError, OSError):
            raise _refusal("TOKEN_INVALID", "the token's times are missing or no times") from None
        if expires_at + SKEW <= now:
            raise _refusal("TOKEN_EXPIRED", "the token has expired")
        if max(issued_at, valid_from) > now + SKEW or expires_at - issued_at > TOKEN_LIFETIME:
            raise _refusal("TOKEN_INVALID", "the token is from the future or lives too long")
        return expires_at


def _moment(time: object) -> datetime:
    if isinstance(time, bool) or not isinstance(time, int | float):
        raise TypeError("not a time")
    return datetime.fromtimestamp(time, UTC)


def _read_claims(claims: Mapping[str, Any], audience: str, expires_at: datetime) -> Claims:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise _refusal("TOKEN_INVALID", "the token has no usable subject")
    roles = claims.get("roles")
    confirmation = claims.get("cnf")
    country = claims.get("country")
    return Claims(
        subject=subject,
        audience=audience,
        expires_at=expires_at,
        age_band=_choice(AgeBand, claims.get("age_band"), AgeBand.UNKNOWN),
        country=country if isinstance(country, str) else "",
        gender=_choice(Gender, claims.get("gender"), Gender.UNKNOWN),
        roles=frozenset(map(str, roles)) if isinstance(roles, list) else frozenset(),
        device_key=str(confirmation.get("jkt", "")) if isinstance(confirmation, dict) else "",
    )


def _choice(kind: type[Choice], value: object, otherwise: Choice) -> Choice:
    """A value that this version does not know counts as not said: the strictest reading."""
    try:
        return kind(value)
    except ValueError:
        return otherwise


def _refusal(reason: str, message: str) -> NotAuthenticated:
    return NotAuthenticated(message, reason=reason, field="authorization")
