"""Where public keys come from: a JWKS document (RFC 7517) that is given, in a file or at a URL."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Protocol

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import Unavailable

REFRESH_S = 300.0  # a key that the issuer withdraws stops counting within 5 min, the token's third
RETRY_S = 10.0  # unknown key ids make at most 6 fetches a minute, whoever sends them
FETCH_TIMEOUT_S = 2.0  # half of the 5 s that a unary call has by default, and some
STALE_S = 3600.0  # an issuer may be away for an hour before callers notice


class KeySource(Protocol):
    """Public keys by id."""

    async def key(self, key_id: str) -> OKPKey | None:
        """The Ed25519 public key, or None. Raises Unavailable when the document cannot be had."""
        ...


class StaticKeys:
    """Keys given at start."""

    def __init__(self, document: str) -> None:
        self._keys = parse_keys(document)

    async def key(self, key_id: str) -> OKPKey | None:
        return self._keys.get(key_id)


class RefreshedKeys:
    """Keys of a document that is read again now and then, and early for an unknown key id.

    While the document is away the keys last read go on counting for STALE_S. One read at a time;
    everybody else waits for it.
    """

    def __init__(self, read: DocumentReader, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._keys: dict[str, OKPKey] = {}
        self._read_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()  # guards the four fields above while a read is under way

    async def key(self, key_id: str) -> OKPKey | None:
        if self._older_than(REFRESH_S) or (key_id not in self._keys and self._may_try()):
            async with self._lock:
                if self._may_try():
                    await self._refresh()
        if self._older_than(STALE_S):
            raise Unavailable("the issuer's keys cannot be read", reason="KEYS_UNAVAILABLE")
        return self._keys.get(key_id)

    def _older_than(self, age_s: float) -> bool:
        return self._read_at is None or self._clock.monotonic() - self._read_at > age_s

    def _may_try(self) -> bool:
        return self._tried_at is None or self._clock.monotonic() - self._tried_at >= RETRY_S

    async def _refresh(self) -> None:
        self._tried_at = self._clock.monotonic()
        try:
            self._keys = parse_keys(await self._read())
        except (OSError, ValueError, httpx.HTTPError):
            return  # `key` decides by age whether what is there still counts
        self._read_at = self._tried_at


class DocumentReader(Protocol):
    """Reads a JWKS document; raises OSError, ValueError or httpx.HTTPError."""

    async def __call__(self) -> str: ...


def file_reader(path: Path) -> DocumentReader:
    """Reads a file."""

    async def read() -> str:
        return await asyncio.to_thread(path.read_text)

    return read


def url_reader(url: str, client: httpx.AsyncClient) -> DocumentReader:
    """Reads a URL within FETCH_TIMEOUT_S; the client is closed by whoever made it."""

    async def read() -> str:
        answer = await client.get(url, timeout=FETCH_TIMEOUT_S)
        answer.raise_for_status()
        return answer.text

    return read


def parse_keys(document: str) -> dict[str, OKPKey]:
    """Ed25519 keys of a JWKS document by key id; others are passed over. Raises ValueError."""
    try:
        keys = KeySet.import_key_set(json.loads(document)).keys
    except (JoseError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a JWKS document: {error}") from error
    return {
        key.kid: key
        for key in keys
        if isinstance(key, OKPKey) and key.curve_name == "Ed25519" and key.kid
    }
