"""The status page: one page, no external asset, no inline script; in development only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException
from fastapi import Path as PathParam
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from inyeon.gateway.domain.board import Board

PAGES = Path(__file__).resolve().parent.parent / "pages"
ASSETS = {
    "status.html": "text/html; charset=utf-8",
    "status.css": "text/css; charset=utf-8",
    "status.js": "text/javascript; charset=utf-8",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' http://127.0.0.1:*; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Told(BaseModel):
    """Something that the demo saw on a device and wants shown."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["person", "line", "step"]
    key: Annotated[str, Field(min_length=1, max_length=64)]
    facts: Annotated[dict[str, JsonValue], Field(max_length=32)]


def status_routes(board: Board, review_page: str = "") -> APIRouter:
    """Routes of the page and its data. `review_page`: where the review list is, if elsewhere."""
    router = APIRouter()

    @router.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return _asset("status.html")

    @router.get("/status/assets/{name}", include_in_schema=False)
    async def asset(name: Annotated[str, PathParam(max_length=32)]) -> FileResponse:
        return _asset(name)

    @router.get("/status.json")
    async def status(since: int = -1) -> Response:
        if since == board.version:
            return Response(status_code=204, headers=HEADERS)
        return JSONResponse(board.snapshot(), headers=HEADERS)

    @router.post("/status/told", status_code=204)
    async def told(news: Told) -> None:
        match news.kind:
            case "person":
                board.person(news.key, news.facts)
            case "line":
                board.line(news.facts)
            case "step":
                board.step(news.key, news.facts)

    if review_page:

        @router.get("/review", include_in_schema=False)
        async def review() -> RedirectResponse:
            return RedirectResponse(review_page, headers=HEADERS)

    return router


def _asset(name: str) -> FileResponse:
    if name not in ASSETS:
        raise HTTPException(status_code=404, detail=f"no asset {name!r}")
    return FileResponse(PAGES / name, media_type=ASSETS[name], headers=HEADERS)
