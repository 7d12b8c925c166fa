"""The live page of pools for operators: depths, waits and switches, no people. Server-rendered,
without a script: it asks for itself again every few seconds, and each switch has a page that asks
whether it is meant.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from inyeon.matching.app.floor import Floor
from inyeon.matching.app.pools import PoolState, pool_states
from inyeon.matching.app.switching import OPERATOR, Switching
from inyeon.matching.domain.modes import ALL_POOLS, PoolMode
from inyeon.runtime.errors import InvalidRequest, Unavailable
from inyeon.runtime.http_callers import Authenticate, CallerOf, callers
from inyeon.runtime.http_errors import ErrorRoute

PAGES = Path(__file__).parent / "pages"
AGAIN_S = 2
"""The page asks for itself so often: a wave is a second."""
SMALLEST_GROUP = 5
"""Fewer people than that are shown as `1 to 4`, and their waits not at all (k-anonymity)."""
FORM_LIMIT_BYTES = 1024
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
SAID = {PoolMode.OPEN: "resume", PoolMode.DRAINING: "drain", PoolMode.PAUSED: "pause"}
MEANS = {
    PoolMode.OPEN: "People are paired again.",
    PoolMode.DRAINING: "Who waits is paired; nobody new comes in.",
    PoolMode.PAUSED: "Nobody is paired; who waits is told that matching is paused.",
}


def pool_page(
    switching: Switching, floor: Floor, authenticate: Authenticate | None, *, development: bool
) -> APIRouter:
    """`/matching/pools/live`. Without development and without a token of an operator everything is
    refused."""
    router = APIRouter(route_class=ErrorRoute)
    caller = callers(authenticate, development=development, role=OPERATOR)
    pages = Environment(loader=FileSystemLoader(PAGES), autoescape=True, undefined=StrictUndefined)
    pages.globals.update(said=SAID, means=MEANS, modes=PoolMode, all_pools=ALL_POOLS)
    pages.filters["people"] = people
    _add_reading(router, switching, floor, caller, pages)
    _add_switching(router, switching, caller, pages)
    return router


def people(count: int) -> str:
    """A number of people, without telling of a few."""
    return str(count) if count == 0 or count >= SMALLEST_GROUP else f"1 to {SMALLEST_GROUP - 1}"


def _add_reading(
    router: APIRouter, switching: Switching, floor: Floor, caller: CallerOf, pages: Environment
) -> None:
    @router.get("/matching/pools/live", response_class=HTMLResponse)
    async def live(request: Request) -> Response:
        who = await caller(request)
        modes, away = await _modes(switching, who.roles, floor)
        text = pages.get_template("pools.html").render(
            pools=[_row(state, modes[state.pool]) for state in pool_states(floor)],
            stopped=modes[ALL_POOLS] is PoolMode.PAUSED,
            away=away,
        )
        return HTMLResponse(text, headers={**HEADERS, "Refresh": str(AGAIN_S)})

    @router.get("/matching/pools/style.css")
    async def style() -> Response:
        text = (PAGES / "pools.css").read_text("utf-8")
        return PlainTextResponse(text, media_type="text/css", headers=HEADERS)


def _add_switching(
    router: APIRouter, switching: Switching, caller: CallerOf, pages: Environment
) -> None:
    @router.get("/matching/pools/switch", response_class=HTMLResponse)
    async def ask(request: Request, pool: str = "", mode: str = "") -> Response:
        who = await caller(request)
        known = await switching.modes(who.roles)
        wanted = _mode(mode)
        if pool not in known:
            raise InvalidRequest("there is no such pool", reason="POOL_UNKNOWN", field="pool")
        text = pages.get_template("switch.html").render(pool=pool, mode=wanted)
        return HTMLResponse(text, headers=HEADERS)

    @router.post("/matching/pools/switch")
    async def switch(request: Request) -> Response:
        who = await caller(request)
        pool, mode = await _form(request)
        await switching.say(who.roles, who.subject, pool, mode)
        return RedirectResponse("/matching/pools/live", status_code=303, headers=HEADERS)


async def _modes(
    switching: Switching, roles: frozenset[str], floor: Floor
) -> tuple[dict[str, PoolMode], bool]:
    """With the store away nobody is paired, whatever was said."""
    try:
        return await switching.modes(roles), False
    except Unavailable:
        return dict.fromkeys([*floor.desks, ALL_POOLS], PoolMode.PAUSED), True


def _row(state: PoolState, mode: PoolMode) -> dict[str, object]:
    enough = state.waiting >= SMALLEST_GROUP
    return {
        "state": state,
        "mode": mode,
        "longest": f"{state.longest_wait_s:.0f} s" if enough else "few",
        "owned": state.epoch > 0,
    }


async def _form(request: Request) -> tuple[str, PoolMode]:
    body = await request.body()
    if len(body) > FORM_LIMIT_BYTES:
        raise InvalidRequest("the form is too large", reason="FORM_TOO_LARGE", field="pool")
    fields = parse_qs(body.decode(errors="replace"))
    return fields.get("pool", [""])[0], _mode(fields.get("mode", [""])[0])


def _mode(name: str) -> PoolMode:
    if name not in PoolMode.__members__:
        raise InvalidRequest("that is no mode", reason="ENUM_UNKNOWN", field="mode")
    return PoolMode[name]
