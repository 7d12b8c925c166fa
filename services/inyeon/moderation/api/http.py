"""HTTP of moderation: cases as JSON under /moderation, and a small page for reviewers at /review.

Who asks is a bearer token's claims (see `inyeon.runtime.http_callers`).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field

from inyeon.moderation.app.reviewing import ROLE, Reviewing
from inyeon.moderation.domain.cases import Case, Decision
from inyeon.runtime.errors import InvalidRequest
from inyeon.runtime.http_callers import Authenticate, CallerOf, callers
from inyeon.runtime.http_errors import ErrorRoute

PAGES = Path(__file__).parent / "pages"
FORM_LIMIT_BYTES = 16_384  # a note of 2,000 characters, each up to nine bytes when percent-encoded
NOTE_LIMIT = 2_000
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


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
    caller = callers(authenticate, development=development, role=ROLE)
    _add_json(router, reviewing, caller)
    _add_page(router, reviewing, caller)
    return router


def _add_json(router: APIRouter, reviewing: Reviewing, caller: CallerOf) -> None:
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


def _add_page(router: APIRouter, reviewing: Reviewing, caller: CallerOf) -> None:
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
