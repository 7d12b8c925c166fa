"""The seal on a caption: it lets a report prove later what was received, without the platform
keeping any text.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

KEY_BYTES = 32
_LABEL = b"inyeon.caption.v1"


def original_hash(text: str) -> bytes:
    """SHA-256 of the author's text in UTF-8, 32 bytes."""
    return hashlib.sha256(text.encode()).digest()


def mac_input(
    match_id: str, author_id: str, segment_id: str, revision: int, sequence: int, original: bytes
) -> bytes:
    """What is sealed: label, then match, author and segment each behind its length (4 bytes, big-
    endian), revision
    (4 bytes), the author's sequence (8 bytes) and the 32 bytes of `original_hash`. Raises
    ValueError for another length.
    """
    if len(original) != hashlib.sha256().digest_size:
        raise ValueError("the hash of the original has 32 bytes")
    parts = [_LABEL, *(value.encode() for value in (match_id, author_id, segment_id))]
    framed = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return framed + struct.pack(">IQ", revision, sequence) + original


def seal(key: bytes, sealed: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104) of `mac_input`, 32 bytes."""
    return hmac.digest(key, sealed, "sha256")


def holds(key: bytes, sealed: bytes, mac: bytes) -> bool:
    """The seal is the one of this input; compared in constant time."""
    return hmac.compare_digest(seal(key, sealed), mac)
