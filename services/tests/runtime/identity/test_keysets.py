"""Key sets in a file and at a URL: read rarely, kept through an outage, for an hour."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import ECKey

from inyeon.runtime.clock import ManualClock
from inyeon.runtime.errors import Unavailable
from inyeon.runtime.identity.keysets import (
    RefreshedKeys,
    StaticKeys,
    file_reader,
    parse_keys,
    url_reader,
)
from inyeon.runtime.identity.tokens import TokenIssuer, TokenVerifier, audience_of

pytestmark = pytest.mark.unit

MATCHING = audience_of("matching")


def issuer_at(clock: ManualClock) -> TokenIssuer:
    return TokenIssuer(Ed25519PrivateKey.generate(), clock)


class IssuerServer:
    """A small HTTP server that shows a document, or fails."""

    def __init__(self) -> None:
        self.document = "{}"
        self.status = "200 OK"
        self.asked = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        body = self.document.encode()
        head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"


async def test_keys_at_a_url_are_cached_rotated_and_outlive_an_outage() -> None:
    clock, server = ManualClock(), IssuerServer()
    first, second = issuer_at(clock), issuer_at(clock)
    server.document = json.dumps(first.jwks())
    async with server.running() as url, httpx.AsyncClient() as client:
        verifier = TokenVerifier(RefreshedKeys(url_reader(url, client), clock), clock)
        for _ in range(3):
            await verifier.verify(first.issue("u1", MATCHING), MATCHING)
        assert server.asked == 1

        await clock.advance(11)
        server.document = json.dumps({"keys": first.jwks()["keys"] + second.jwks()["keys"]})
        await verifier.verify(second.issue("u1", MATCHING), MATCHING)
        assert server.asked == 2, "an unknown key id is worth a look"

        server.status = "500 Oops"
        await clock.advance(3000)
        await verifier.verify(second.issue("u1", MATCHING), MATCHING)
        assert server.asked == 3
        await clock.advance(700)
        with pytest.raises(Unavailable) as caught:
            await verifier.verify(second.issue("u1", MATCHING), MATCHING)
        assert caught.value.reason == "KEYS_UNAVAILABLE"


async def test_made_up_key_ids_do_not_become_a_flood() -> None:
    clock, server = ManualClock(), IssuerServer()
    server.document = json.dumps(issuer_at(clock).jwks())
    async with server.running() as url, httpx.AsyncClient() as client:
        keys = RefreshedKeys(url_reader(url, client), clock)
        found = await asyncio.gather(*(keys.key(f"made-up-{n}") for n in range(50)))
        assert found == [None] * 50
        assert server.asked == 1
        await clock.advance(10)
        assert await keys.key("made-up") is None
        assert server.asked == 2


async def test_a_file_is_read_again_after_a_while(tmp_path: Path) -> None:
    clock = ManualClock()
    old, new = issuer_at(clock), issuer_at(clock)
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(old.jwks()))
    keys = RefreshedKeys(file_reader(path), clock)
    old_id, new_id = old.jwks()["keys"][0]["kid"], new.jwks()["keys"][0]["kid"]
    assert await keys.key(old_id) is not None
    path.write_text(json.dumps(new.jwks()))
    await clock.advance(301)
    assert await keys.key(old_id) is None, "a withdrawn key stops counting"
    assert await keys.key(new_id) is not None


async def test_without_a_document_there_are_no_keys(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await RefreshedKeys(file_reader(tmp_path / "absent"), ManualClock()).key("k")


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"keys": 3}', '{"keys": [{"kty": "X"}]}'])
def test_what_is_no_key_set_is_said(document: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        StaticKeys(document)


def test_other_kinds_of_keys_are_passed_over() -> None:
    other = ECKey.generate_key("P-256").as_dict(private=False) | {"kid": "ec"}
    mine = issuer_at(ManualClock()).jwks()["keys"][0]
    assert list(parse_keys(json.dumps({"keys": [other, mine]}))) == [mine["kid"]]
