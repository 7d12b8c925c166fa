"""Ed25519 keys on disk: one PEM file for each, made on first use and readable by the owner only."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from inyeon.runtime.errors import SettingsRefused

_OWNER_ONLY = 0o600


def load_or_create_key(path: Path) -> Ed25519PrivateKey:
    """Reads the key, or makes one where the file is absent. Two processes that start at the same
    time end with the same key. Raises SettingsRefused for a file that holds no Ed25519 key or that
    others may read.
    """
    if not path.exists():
        _create(path)
    return load_key(path)


def load_key(path: Path) -> Ed25519PrivateKey:
    """Reads a PEM key. Raises SettingsRefused as `load_or_create_key`, or when it is absent."""
    try:
        pem = path.read_bytes()
        if path.stat().st_mode & 0o077:
            raise SettingsRefused(
                f"key {path} may be read by others: chmod 600 it", field=str(path)
            )
        key = load_pem_private_key(pem, password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsRefused(f"key {path} cannot be read: {error}", field=str(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsRefused(f"key {path} is not an Ed25519 key", field=str(path))
    return key


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    try:
        # A link fails where somebody else's key is already in place; a rename would replace it.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def key_id(key: Ed25519PublicKey) -> str:
    """Thumbprint of a public key after RFC 7638 (OKP members of RFC 8037), 43 characters."""
    public = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{_base64url(public)}"}}'
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
