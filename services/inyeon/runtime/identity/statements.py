"""Signed statements: safety passes and match grants (Ed25519, RFC 8032).

The signature covers the type name, a zero byte and the payload, so that one kind never passes for
another.
"""

from __future__ import annotations

from typing import Protocol


class StatementSigner(Protocol):
    """Signs with the service's own key."""

    @property
    def key_id(self) -> str:
        """Name of the key, as verifiers know it."""
        ...

    def sign(self, type_name: str, payload: bytes) -> bytes:
        """64 bytes of Ed25519 signature over type name, zero byte and payload."""
        ...


class StatementVerifier(Protocol):
    """Knows the public keys of one kind of signer."""

    def verify(self, key_id: str, type_name: str, payload: bytes, signature: bytes) -> None:
        """Returns if the signature is right; raises StatementRefused (reason UNKNOWN_KEY or
        BAD_SIGNATURE).
        """
        ...
