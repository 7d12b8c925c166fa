"""The process's keys: who signs tokens, calls between replicas and statements; who is believed."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import SettingsRefused
from inyeon.runtime.identity.keys import load_key, load_or_create_key
from inyeon.runtime.identity.keysets import (
    KeySource,
    RefreshedKeys,
    StaticKeys,
    file_reader,
    url_reader,
)
from inyeon.runtime.identity.signing import Ed25519Signer, Ed25519Verifier
from inyeon.runtime.identity.tokens import INTERNAL_AUDIENCE, TokenIssuer, TokenVerifier
from inyeon.runtime.settings import RuntimeSettings

INTERNAL_ISSUER = "inyeon-replicas"
RENEW_BEFORE_S = 120.0  # an internal token is used for 13 of its 15 minutes


class Keyring:
    """Reads or, in development, makes keys when they are first asked for."""

    def __init__(self, settings: RuntimeSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._client: httpx.AsyncClient | None = None
        self._internal: InternalTokens | None = None

    def token_issuer(self) -> TokenIssuer:
        """Development identity. Raises SettingsRefused outside development."""
        if not self._settings.development:
            message = "development identity is refused outside development"
            raise SettingsRefused(message, field="INYEON_ENVIRONMENT")
        return TokenIssuer(self._private("issuer"), self._clock, self._settings.issuer)

    def token_verifier(self) -> TokenVerifier:
        """Believes the issuer of the settings."""
        return TokenVerifier(self._issuer_keys(), self._clock, self._settings.issuer)

    def internal_tokens(self) -> InternalTokens:
        """For calls between replicas, which share one key."""
        if self._internal is None:
            self._internal = InternalTokens(
                self._private("internal"), self._clock, self._settings.replica
            )
        return self._internal

    def signer(self, service: str) -> Ed25519Signer:
        """Signs statements as this service."""
        return Ed25519Signer(self._private(service))

    def verifier(self, service: str) -> Ed25519Verifier:
        """Believes statements of this service: by `<service>.pub.pem`, or by its own key here."""
        public = self._settings.keys / f"{service}.pub.pem"
        if public.exists():
            return Ed25519Verifier([load_public_key(public)])
        return Ed25519Verifier([self._private(service).public_key()])

    async def close(self) -> None:
        """Closes the connection to the issuer."""
        if self._client is not None:
            await self._client.aclose()

    def _private(self, name: str) -> Ed25519PrivateKey:
        path = self._settings.keys / f"{name}.pem"
        return load_or_create_key(path) if self._settings.development else load_key(path)

    def _issuer_keys(self) -> KeySource:
        where = self._settings.jwks
        if not where:
            return StaticKeys(json.dumps(self.token_issuer().jwks()))
        if not where.startswith(("http://", "https://")):
            return RefreshedKeys(file_reader(Path(where)), self._clock)
        self._client = self._client or httpx.AsyncClient()
        return RefreshedKeys(url_reader(where, self._client), self._clock)


class InternalTokens:
    """Tokens that replicas show each other; one is used until shortly before its end."""

    def __init__(self, key: Ed25519PrivateKey, clock: Clock, replica: str) -> None:
        self._issuer = TokenIssuer(key, clock, INTERNAL_ISSUER)
        self._clock = clock
        self._subject = "".join(c if c.isalnum() else "-" for c in replica)[:64]
        self._token = ""
        self._renew_at = 0.0

    def token(self) -> str:
        """A token with minutes to live."""
        if not self._token or self._clock.monotonic() >= self._renew_at:
            self._token = self._issuer.issue(self._subject, INTERNAL_AUDIENCE, roles=["internal"])
            self._renew_at = self._clock.monotonic() + 15 * 60 - RENEW_BEFORE_S
        return self._token

    def verifier(self) -> TokenVerifier:
        """Believes the replicas' shared key."""
        keys = StaticKeys(json.dumps(self._issuer.jwks()))
        return TokenVerifier(keys, self._clock, INTERNAL_ISSUER)


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Reads a PEM public key. Raises SettingsRefused."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise SettingsRefused(f"key {path} cannot be read: {error}", field=str(path)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsRefused(f"key {path} is not an Ed25519 key", field=str(path))
    return key
