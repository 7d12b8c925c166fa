"""The status page: own assets only, a strict policy, state as JSON, bad input refused."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from inyeon.gateway.api.pages import ASSETS, status_routes
from inyeon.gateway.domain.board import Board

pytestmark = pytest.mark.unit


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
async def page(board: Board) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(status_routes(board))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


async def test_the_page_and_its_assets_are_served_with_a_strict_policy(
    page: httpx.AsyncClient,
) -> None:
    for path in ("/", *(f"/status/assets/{name}" for name in ASSETS)):
        answer = await page.get(path)
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_the_page_names_no_other_host_and_holds_no_inline_script(
    page: httpx.AsyncClient,
) -> None:
    text = (await page.get("/")).text
    assert "https://" not in text
    assert '<script type="module" src="/status/assets/status.js"></script>' in text
    assert text.count("<script") == 1


async def test_other_files_are_not_served(page: httpx.AsyncClient) -> None:
    for name in ("pages.py", "..%2Fsettings.py", "x" * 40):
        assert (await page.get(f"/status/assets/{name}")).status_code in (404, 422)


async def test_news_are_told_only_when_there_are_some(
    page: httpx.AsyncClient, board: Board
) -> None:
    board.person("a", {"verdict": "CLEAR"})
    first = (await page.get("/status.json")).json()
    assert first["people"] == [{"subject": "a", "verdict": "CLEAR"}]
    again = await page.get("/status.json", params={"since": first["version"]})
    assert again.status_code == 204


@pytest.mark.parametrize("kind", ["person", "line", "step"])
async def test_the_demo_may_tell(page: httpx.AsyncClient, board: Board, kind: str) -> None:
    body = {"kind": kind, "key": "k", "facts": {"text": "hi"}}
    assert (await page.post("/status/told", json=body)).status_code == 204
    assert board.version == 1


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "match", "key": "k", "facts": {}},
        {"kind": "line", "key": "", "facts": {}},
        {"kind": "line", "key": "k", "facts": {str(n): n for n in range(40)}},
        {"kind": "line", "key": "k", "facts": {}, "more": 1},
        {},
    ],
)
async def test_anything_else_is_refused(
    page: httpx.AsyncClient, board: Board, body: dict[str, object]
) -> None:
    assert (await page.post("/status/told", json=body)).status_code == 422
    assert board.version == 0
