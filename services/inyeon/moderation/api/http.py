"""HTTP of moderation: cases as JSON under /moderation, and a small page for reviewers at /review.

Who asks is a bearer token's claims. In development, where identity is anybody's word anyway, nobody
needs one; then a page of another site must not be able to post a decision, so only same-origin
requests may change anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field

from inyeon.moderation.api.http_errors import ErrorRoute
from inyeon.moderation.app.reviewing import ROLE, Reviewing
from inyeon.moderation.domain.cases import Case, Decision
from inyeon.runtime.errors import InvalidRequest, NotAllowed, NotAuthenticated
from inyeon.runtime.identity.claims import Claims

PAGES = Path(__file__).parent / "pages"
FORM_LIMIT_BYTES = 16_384  # a note of 2,000 characters, each up to nine bytes when percent-encoded
NOTE_LIMIT = 2_000
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

Authenticate = Callable[[str], Awaitable[Claims]]
"""Claims of a bearer token. Raises NotAuthenticated."""


class CaseView(BaseModel):
    """A case as JSON."""

    model_config = ConfigDict(frozen=True)

    case_id: str
    user_id: str
    session_id: str
    match_id: str
    reason: str
    verdict: str
    policy_version: str
    explanation: str
    opened_at: datetime
    live: bool
    reports: int
    closed_at: datetime | None
    decision: Decision | None

    @classmethod
    def of(cls, case: Case) -> CaseView:
        """The view of a case."""
        values = {name: getattr(case, name) for name in cls.model_fields if name != "verdict"}
        return cls(**values, verdict=case.verdict.value)


class CasePage(BaseModel):
    """A page of cases."""

    cases: list[CaseView]
    next_page_token: str


class DecisionBody(BaseModel):
    """What a reviewer decides."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decision: Decision
    note: str = Field(default="", max_length=NOTE_LIMIT)


class Audit(BaseModel):
    """Whether the chain of decisions is whole."""

    whole: bool
    first_break: int | None


def routes(
    reviewing: Reviewing, authenticate: Authenticate | None, *, development: bool
) -> APIRouter:
    """The router. Without development and without `authenticate` everything is refused."""
    router = APIRouter(route_class=ErrorRoute)
    caller = _caller(authenticate, development=development)
    _add_json(router, reviewing, caller)
    _add_page(router, reviewing, caller)
    return router


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who asks."""

    subject: str
    roles: frozenset[str]


def _caller(
    authenticate: Authenticate | None, *, development: bool
) -> Callable[[Request], Awaitable[Reviewer]]:
    async def caller(request: Request) -> Reviewer:
        if request.method != "GET":
            _same_origin(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and authenticate is not None:
            claims = await authenticate(token.strip())
            return Reviewer(claims.subject, claims.roles)
        if development:
            return Reviewer("development", frozenset({ROLE}))
        raise NotAuthenticated("a bearer token is needed", reason="TOKEN_MISSING")

    return caller


def _same_origin(request: Request) -> None:
    """Raises NotAllowed where a browser says that another site made this request."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if site not in ("same-origin", "none") or origin not in (None, own):
        raise NotAllowed("decisions come from this site's own page", reason="FOREIGN_ORIGIN")


def _add_json(
    router: APIRouter, reviewing: Reviewing, caller: Callable[[Request], Awaitable[Reviewer]]
) -> None:
    @router.get("/moderation/cases")
    async def cases(
        request: Request, state: str = "", page_size: int = 0, page_token: str = ""
    ) -> CasePage:
        who = await caller(request)
        page, following = await reviewing.cases(
            who.roles, open_only=_state(state), size=_size(page_size), after=page_token
        )
        return CasePage(cases=[CaseView.of(case) for case in page], next_page_token=following)

    @router.post("/moderation/cases/{case_id}/decision")
    async def decide(request: Request, case_id: str, body: DecisionBody) -> CaseView:
        who = await caller(request)
        case = await reviewing.decide(who.roles, who.subject, case_id, body.decision, body.note)
        return CaseView.of(case)

    @router.get("/moderation/audit")
    async def audit(request: Request) -> Audit:
        who = await caller(request)
        broken = await reviewing.audit(who.roles)
        return Audit(whole=broken is None, first_break=broken)


def _add_page(
    router: APIRouter, reviewing: Reviewing, caller: Callable[[Request], Awaitable[Reviewer]]
) -> None:
    pages = Environment(loader=FileSystemLoader(PAGES), autoescape=True, undefined=StrictUndefined)

    @router.get("/review", response_class=HTMLResponse)
    async def page(request: Request, page_token: str = "") -> Response:
        who = await caller(request)
        open_cases, following = await reviewing.cases(who.roles, open_only=True, after=page_token)
        closed, _ = await reviewing.cases(who.roles, open_only=False, size=10)
        text = pages.get_template("review.html").render(
            open_cases=open_cases, closed=closed, following=following, note_limit=NOTE_LIMIT
        )
        return HTMLResponse(text, headers=HEADERS)

    @router.get("/review/style.css")
    async def style() -> Response:
        text = (PAGES / "review.css").read_text()
        return PlainTextResponse(text, media_type="text/css", headers=HEADERS)

    @router.post("/review/{case_id}")
    async def decide(case_id: str, request: Request) -> Response:
        who = await caller(request)
        decision, note = await _form(request)
        await reviewing.decide(who.roles, who.subject, case_id, decision, note)
        return RedirectResponse("/review", status_code=303, headers=HEADERS)


async def _form(request: Request) -> tuple[Decision, str]:
    body = await request.body()
    if len(body) > FORM_LIMIT_BYTES:
        raise InvalidRequest("the form is too large", reason="FORM_TOO_LARGE", field="note")
    fields = parse_qs(body.decode(errors="replace"))
    decision, note = fields.get("decision", [""])[0], fields.get("note", [""])[0]
    if decision not in Decision.__members__:
        raise InvalidRequest("that is no decision", reason="ENUM_UNKNOWN", field="decision")
    if len(note) > NOTE_LIMIT:
        raise InvalidRequest("the note is too long", reason="NOTE_TOO_LONG", field="note")
    return Decision[decision], note


def _state(name: str) -> bool | None:
    states = {"": None, "open": True, "closed": False}
    if name not in states:
        raise InvalidRequest("state is open or closed", reason="ENUM_UNKNOWN", field="state")
    return states[name]


def _size(size: int) -> int:
    if not 0 <= size <= 200:
        raise InvalidRequest("page_size is 1 to 200", reason="PAGE_SIZE", field="page_size")
    return size
