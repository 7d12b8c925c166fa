"""Ed25519 (RFC 8032) behind the seams of `statements`."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from inyeon.runtime.errors import StatementRefused
from inyeon.runtime.identity.keys import key_id


class Ed25519Signer:
    """Signs statements with one private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._key_id = key_id(key.public_key())

    @property
    def key_id(self) -> str:
        return self._key_id

    @property
    def public_key(self) -> Ed25519PublicKey:
        """What verifiers need."""
        return self._key.public_key()

    def sign(self, type_name: str, payload: bytes) -> bytes:
        return self._key.sign(_signed_bytes(type_name, payload))


class Ed25519Verifier:
    """Verifies statements against a set of public keys, named by their thumbprints."""

    def __init__(self, keys: Iterable[Ed25519PublicKey]) -> None:
        self._keys = {key_id(key): key for key in keys}

    def verify(self, key_id: str, type_name: str, payload: bytes, signature: bytes) -> None:
        key = self._keys.get(key_id)
        if key is None:
            raise StatementRefused("the statement's key is not known", reason="UNKNOWN_KEY")
        try:
            key.verify(signature, _signed_bytes(type_name, payload))
        except InvalidSignature:
            message = f"the signature of this {type_name} is wrong"
            raise StatementRefused(message, reason="BAD_SIGNATURE") from None


def _signed_bytes(type_name: str, payload: bytes) -> bytes:
    return type_name.encode() + b"\0" + payload
