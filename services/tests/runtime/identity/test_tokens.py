"""Tokens: what is believed, and how precisely everything else is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from inyeon.runtime.clock import ManualClock
from inyeon.runtime.errors import NotAuthenticated
from inyeon.runtime.identity.claims import AgeBand, Gender
from inyeon.runtime.identity.context import current_claims, set_current_claims
from inyeon.runtime.identity.keysets import StaticKeys
from inyeon.runtime.identity.tokens import (
    DEVELOPMENT_ISSUER,
    SERVICES,
    TokenIssuer,
    TokenVerifier,
    audience_of,
)

pytestmark = pytest.mark.unit

MATCHING = audience_of("matching")


class World:
    """One issuer, one verifier, one clock that stands."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.private = Ed25519PrivateKey.generate()
        self.issuer = TokenIssuer(self.private, self.clock)
        self.verifier = TokenVerifier(StaticKeys(json.dumps(self.issuer.jwks())), self.clock)
        self.jwk = self.issuer._key

    def signed(self, header: dict[str, Any] | None = None, **change: Any) -> str:
        """A token by the right key with these claims changed; None takes one away."""
        now = int(self.clock.now().timestamp())
        claims = {"iss": DEVELOPMENT_ISSUER, "sub": "u1", "aud": MATCHING, "iat": now, "nbf": now}
        claims = claims | {"exp": now + 900} | change
        kept = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "Ed25519", "kid": self.issuer.jwks()["keys"][0]["kid"]} | (header or {})
        return jwt.encode(header, kept, self.jwk, algorithms=["Ed25519"])

    async def reason(self, token: str, audience: str = MATCHING) -> str:
        with pytest.raises(NotAuthenticated) as caught:
            await self.verifier.verify(token, audience)
        assert caught.value.field == "authorization"
        return caught.value.reason


@pytest.fixture
def world() -> World:
    return World()


async def test_claims_come_back_as_they_were_issued(world: World) -> None:
    token = world.issuer.issue(
        "u1",
        MATCHING,
        age_band=AgeBand.ADULT,
        country="KR",
        gender=Gender.FEMALE,
        roles=["reviewer"],
        device_key="thumb",
    )
    claims = await world.verifier.verify(token, MATCHING)
    assert (claims.subject, claims.audience, claims.country) == ("u1", MATCHING, "KR")
    assert (claims.age_band, claims.gender) == (AgeBand.ADULT, Gender.FEMALE)
    assert (claims.roles, claims.device_key) == (frozenset({"reviewer"}), "thumb")
    assert claims.expires_at - world.clock.now() == timedelta(minutes=15)


async def test_one_token_for_each_service(world: World) -> None:
    tokens = world.issuer.issue_all("u1", age_band=AgeBand.MINOR)
    assert set(tokens) == {audience_of(service) for service in SERVICES}
    claims = await world.verifier.verify(tokens["inyeon-gateway"], "inyeon-gateway")
    assert claims.age_band is AgeBand.MINOR


@pytest.mark.parametrize("subject", ["", "two words", "x" * 65, "ü"])
def test_an_odd_subject_is_not_issued(world: World, subject: str) -> None:
    with pytest.raises(ValueError, match="plain subject"):
        world.issuer.issue(subject, MATCHING)


def test_a_long_life_is_not_issued(world: World) -> None:
    with pytest.raises(ValueError, match="15 minutes"):
        world.issuer.issue("u1", MATCHING, lifetime=timedelta(minutes=16))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"aud": "inyeon-gateway"}, "TOKEN_FOREIGN"),
        ({"aud": [MATCHING]}, "TOKEN_FOREIGN"),
        ({"aud": None}, "TOKEN_FOREIGN"),
        ({"iss": "somebody"}, "TOKEN_FOREIGN"),
        ({"exp": None}, "TOKEN_INVALID"),
        ({"nbf": None}, "TOKEN_INVALID"),
        ({"iat": "yesterday"}, "TOKEN_INVALID"),
        ({"exp": True}, "TOKEN_INVALID"),
        ({"exp": 10**20}, "TOKEN_INVALID"),
        ({"sub": None}, "TOKEN_INVALID"),
        ({"sub": "no spaces"}, "TOKEN_INVALID"),
        ({"sub": 7}, "TOKEN_INVALID"),
    ],
)
async def test_wrong_claims_are_refused(world: World, change: Any, reason: str) -> None:
    assert await world.reason(world.signed(**change)) == reason


async def test_time_decides_with_a_minute_of_skew(world: World) -> None:
    token = world.issuer.issue("u1", MATCHING)
    await world.clock.advance(15 * 60 + 59)
    assert (await world.verifier.verify(token, MATCHING)).subject == "u1"
    await world.clock.advance(1)
    assert await world.reason(token) == "TOKEN_EXPIRED"

    now = int(world.clock.now().timestamp())
    soon = world.signed(nbf=now + 59)
    assert (await world.verifier.verify(soon, MATCHING)).subject == "u1"
    assert await world.reason(world.signed(nbf=now + 61)) == "TOKEN_INVALID"
    assert await world.reason(world.signed(iat=now + 61)) == "TOKEN_INVALID"
    assert await world.reason(world.signed(iat=now - 1)) == "TOKEN_INVALID", "16 minutes long"


@pytest.mark.parametrize("token", ["x", "a.b.c", "....", "x" * 5000, "\N{SNOWMAN}", "a.b.c.d.e"])
async def test_garbage_is_invalid(world: World, token: str) -> None:
    assert await world.reason(token) == "TOKEN_INVALID"


async def test_no_token_is_missing(world: World) -> None:
    assert await world.reason("") == "TOKEN_MISSING"


@given(st.text(max_size=200))
async def test_no_text_breaks_the_verifier(text: str) -> None:
    assert await World().reason(text) in {"TOKEN_INVALID", "TOKEN_MISSING"}


async def test_a_changed_token_does_not_hold(world: World) -> None:
    head, body, signature = world.issuer.issue("u1", MATCHING).split(".")
    other = world.issuer.issue("u2", MATCHING).split(".")[1]
    assert await world.reason(f"{head}.{other}.{signature}") == "TOKEN_INVALID"
    assert await world.reason(f"{head}.{body}.") == "TOKEN_INVALID"


async def test_other_algorithms_and_keys_do_not_hold(world: World) -> None:
    stranger = World()
    assert await world.reason(stranger.signed()) == "TOKEN_INVALID"

    key_id = world.issuer.jwks()["keys"][0]["kid"]
    posing = stranger.signed(header={"kid": key_id})
    assert await world.reason(posing) == "TOKEN_INVALID"

    # The classic: HMAC with the public key as its secret (RFC 8725, 2.1).
    public = world.issuer.jwks()["keys"][0]["x"]
    secret = OctKey.import_key(public * 2)
    claims = {"iss": DEVELOPMENT_ISSUER, "sub": "u1", "aud": MATCHING}
    confused = jwt.encode({"alg": "HS256", "kid": key_id}, claims, secret, algorithms=["HS256"])
    assert await world.reason(confused) == "TOKEN_INVALID"


async def test_a_token_without_key_id_does_not_hold(world: World) -> None:
    token = jwt.encode({"alg": "Ed25519"}, {"sub": "u1"}, world.jwk, algorithms=["Ed25519"])
    assert await world.reason(token) == "TOKEN_INVALID"


async def test_unknown_facts_count_as_not_said(world: World) -> None:
    token = world.signed(age_band="elder", gender=3, country=None, roles="all", cnf="x")
    claims = await world.verifier.verify(token, MATCHING)
    assert (claims.age_band, claims.gender) == (AgeBand.UNKNOWN, Gender.UNKNOWN)
    assert (claims.country, claims.roles, claims.device_key) == ("", frozenset(), "")


def test_the_published_key_is_public_only(world: World) -> None:
    (key,) = world.issuer.jwks()["keys"]
    assert key["alg"] == "Ed25519"
    assert "d" not in key
    assert OKPKey.import_key(dict(key)).thumbprint() == key["kid"]


async def test_the_caller_is_known_only_after_identity(make_claims: Callable[[], Any]) -> None:
    set_current_claims(None)
    with pytest.raises(NotAuthenticated):
        current_claims()
    claims = make_claims()
    set_current_claims(claims)
    assert current_claims() is claims


@pytest.fixture
async def make_claims(world: World) -> Callable[[], Any]:
    claims = await world.verifier.verify(world.issuer.issue("u1", MATCHING), MATCHING)
    return lambda: claims
