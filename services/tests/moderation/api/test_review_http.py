"""HTTP: cases as JSON, the reviewers' page, who may, and other sites that may not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from inyeon.moderation.api.http import routes
from inyeon.moderation.app.ports import NewReport
from inyeon.runtime.errors import NotAuthenticated
from inyeon.runtime.identity.claims import Claims

pytestmark = pytest.mark.unit
OWN = "http://127.0.0.1:8080"
FORM = {"content-type": "application/x-www-form-urlencoded"}


def app_for(room: Any, *, development: bool) -> FastAPI:
    async def authenticate(token: str) -> Claims:
        if token not in ("reviewer", "nobody"):
            raise NotAuthenticated("no such token")
        roles = frozenset({token})
        ends = room.clock.now() + timedelta(minutes=5)
        return Claims("r-1", "inyeon-moderation", ends, roles=roles)

    app = FastAPI()
    app.include_router(routes(room.reviewing, authenticate, development=development))
    return app


@pytest.fixture
async def browser(room: Any) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    made: list[httpx.AsyncClient] = []

    def make(*, development: bool = True) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app_for(room, development=development))
        made.append(httpx.AsyncClient(transport=transport, base_url=OWN))
        return made[-1]

    yield make
    for client in made:
        await client.aclose()


async def a_case(room: Any, n: int = 1, note: str = "") -> str:
    report = NewReport(f"q{n}", "b", f"a{n}", "m", "REPORTED_HATE", note)
    case_id: str = await room.ledger.report(report)
    return case_id


async def test_cases_as_json(room: Any, browser: Callable[..., httpx.AsyncClient]) -> None:
    case_id = await a_case(room)
    answer = (await browser().get("/moderation/cases?state=open")).json()
    assert [case["case_id"] for case in answer["cases"]] == [case_id]
    assert answer["cases"][0]["verdict"] == "UNKNOWN"
    assert answer["next_page_token"] == ""
    decided = await browser().post(
        f"/moderation/cases/{case_id}/decision", json={"decision": "CONFIRM", "note": "yes"}
    )
    assert decided.json()["decision"] == "CONFIRM"
    assert (await browser().get("/moderation/cases?state=open")).json()["cases"] == []
    assert (await browser().get("/moderation/audit")).json() == {
        "whole": True,
        "first_break": None,
    }


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("state=x", "ENUM_UNKNOWN"),
        ("page_size=201", "PAGE_SIZE"),
        ("page_size=-1", "PAGE_SIZE"),
        ("page_token=x", "PAGE_TOKEN_INVALID"),
    ],
)
async def test_bad_queries(
    browser: Callable[..., httpx.AsyncClient], query: str, reason: str
) -> None:
    answer = await browser().get(f"/moderation/cases?{query}")
    assert (answer.status_code, answer.json()["reason"]) == (400, reason)


async def test_the_page_lists_and_decides(
    room: Any, browser: Callable[..., httpx.AsyncClient]
) -> None:
    case_id = await a_case(room)
    client = browser()
    page = await client.get("/review")
    assert "REPORTED_HATE" in page.text
    assert f'action="/review/{case_id}"' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("https", "http").split("<main>")[0]
    done = await client.post(
        f"/review/{case_id}", content="decision=DISMISS&note=fine", headers=FORM | {"origin": OWN}
    )
    assert (done.status_code, done.headers["location"]) == (303, "/review")
    page = await client.get("/review")
    assert "No open case." in page.text
    assert "DISMISS" in page.text
    style = await client.get("/review/style.css")
    assert style.headers["content-type"].startswith("text/css")


async def test_many_cases_have_a_second_page(
    room: Any, browser: Callable[..., httpx.AsyncClient]
) -> None:
    for n in range(51):
        await a_case(room, n)
    first = await browser().get("/review")
    assert first.text.count("<article") == 50
    link = first.text.split('href="/review?page_token=')[1].split('"')[0]
    assert (await browser().get(f"/review?page_token={link}")).text.count("<article") == 1


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        ("decision=DISMISS", {"origin": "http://evil.example"}, "FOREIGN_ORIGIN"),
        ("decision=DISMISS", {"sec-fetch-site": "cross-site"}, "FOREIGN_ORIGIN"),
        ("decision=BAN", {}, "ENUM_UNKNOWN"),
        ("", {}, "ENUM_UNKNOWN"),
        ("decision=DISMISS&note=" + "x" * 2001, {}, "NOTE_TOO_LONG"),
        ("decision=DISMISS&note=" + "x" * 20_000, {}, "FORM_TOO_LARGE"),
    ],
)
async def test_bad_forms_decide_nothing(
    room: Any,
    browser: Callable[..., httpx.AsyncClient],
    body: str,
    headers: dict[str, str],
    reason: str,
) -> None:
    case_id = await a_case(room)
    answer = await browser().post(f"/review/{case_id}", content=body, headers=FORM | headers)
    status = 403 if reason == "FOREIGN_ORIGIN" else 400
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert len((await room.ledger.cases(open_only=True, size=5, after=""))[0]) == 1


async def test_outside_development_a_reviewers_token_is_needed(
    room: Any, browser: Callable[..., httpx.AsyncClient]
) -> None:
    await a_case(room)
    client = browser(development=False)
    missing = await client.get("/review")
    assert (missing.status_code, missing.json()["reason"]) == (401, "TOKEN_MISSING")
    nobody = await client.get("/review", headers={"authorization": "Bearer nobody"})
    assert nobody.json()["reason"] == "ROLE_MISSING"
    forged = await client.get("/review", headers={"authorization": "Bearer x"})
    assert forged.json()["reason"] == "TOKEN_INVALID"
    good = await client.get("/review", headers={"authorization": "bearer reviewer"})
    assert good.status_code == 200


async def test_what_people_wrote_is_escaped(
    room: Any, browser: Callable[..., httpx.AsyncClient]
) -> None:
    await room.ledger.report(NewReport("q", "b", "<b>x", "m", "R", ""))
    page = await browser().get("/review")
    assert "&lt;b&gt;x" in page.text
    assert "<b>x" not in page.text


async def test_a_case_that_is_not_there(browser: Callable[..., httpx.AsyncClient]) -> None:
    body = {"decision": "CONFIRM"}
    answer = await browser().post("/moderation/cases/none/decision", json=body)
    assert (answer.status_code, answer.json()["reason"]) == (404, "CASE_NOT_FOUND")
