"""The session encoder here and behind a Triton that may lie."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inyeon.inference import session_recipe as recipe
from inyeon.inference.errors import ModelFailed
from inyeon.inference.port import SpaceId
from inyeon.inference.sessions import (
    MAX_QUESTIONS,
    MAX_TALKS,
    InProcessSessionEncoder,
    SessionQuestion,
    SessionState,
    SessionTalk,
    rows,
)
from inyeon.inference.sessions_opening import open_session_encoder
from inyeon.inference.sessions_triton import RETRY_S, TritonSessionEncoder
from inyeon.inference.settings import InferenceSettings
from inyeon.runtime.clock import ManualClock
from inyeon.runtime.errors import DeadlineExceeded, InvalidRequest, SettingsRefused, Unavailable

pytestmark = pytest.mark.unit

SPACE = SpaceId("interests", "1", 4)
BUDGET_S = 10.0


def talk(place: int = 0, length_s: float = 240.0, ended_s: float = 1_000.0) -> SessionTalk:
    return SessionTalk(np.eye(4, dtype=np.float32)[place], length_s, ended_s)


def question(*talks: SessionTalk, before: SessionState | None = None) -> SessionQuestion:
    return SessionQuestion(SPACE, before, talks or (talk(),))


async def test_a_long_talk_points_to_the_partner_and_a_short_one_away() -> None:
    encoder = InProcessSessionEncoder()
    liked, left = await encoder.encode(
        [question(), question(talk(1, length_s=15.0))], budget_s=BUDGET_S
    )
    assert liked.total.tolist() == [1.0, 0.0, 0.0, 0.0]  # four times the usual minute
    assert left.total.tolist() == [0.0, -1.0, 0.0, 0.0]
    assert (liked.counted, liked.talks, liked.at_s) == (1.0, 1.0, 1_000.0)
    assert liked.logs == pytest.approx(math.log2(240.0))


async def test_what_was_encoded_in_two_requests_is_as_in_one() -> None:
    encoder = InProcessSessionEncoder()
    talks = [talk(n % 4, 10.0 * (n + 1), 1_000.0 + 300.0 * n) for n in range(6)]
    [whole] = await encoder.encode([question(*talks)], BUDGET_S)
    [half] = await encoder.encode([question(*talks[:2])], BUDGET_S)
    [rest] = await encoder.encode([question(*talks[2:], before=half)], BUDGET_S)
    np.testing.assert_array_equal(whole.total, rest.total)
    assert (whole.counted, whole.talks, whole.at_s) == (rest.counted, rest.talks, rest.at_s)


@pytest.mark.parametrize("away", ["closed", "late"])
async def test_one_that_does_not_answer_says_so(away: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = InProcessSessionEncoder()
    if away == "closed":
        await encoder.close()
        with pytest.raises(Unavailable):
            await encoder.encode([question()], BUDGET_S)
        return

    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "to_thread", never)
    with pytest.raises(DeadlineExceeded):
        await encoder.encode([question()], 0.01)


OTHER = SessionQuestion(SpaceId("interests", "2", 4), None, (talk(),))
BROKEN = SessionState(np.array([0.0, math.nan, 0.0, 0.0]), 1.0, 1.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("questions", "field"),
    [
        ([], "questions"),
        ([question()] * (MAX_QUESTIONS + 1), "questions"),
        ([question(), OTHER], "space"),
        ([SessionQuestion(SPACE, None, ())], "talks"),
        ([question(*[talk()] * (MAX_TALKS + 1))], "talks"),
        ([question(talk(length_s=math.nan))], "talks"),
        ([question(talk(length_s=-1.0))], "talks"),
        ([question(talk(ended_s=math.inf))], "talks"),
        ([question(SessionTalk(np.ones(4, np.float32), 60.0, 0.0))], "partner"),
        ([question(SessionTalk(np.ones(1, np.float32), 60.0, 0.0))], "partner"),
        ([question(SessionTalk(np.full(4, np.nan, np.float32), 60.0, 0.0))], "partner"),
        ([question(before=BROKEN)], "before"),
        ([question(before=SessionState(np.zeros(3), 1.0, 1.0, 1.0, 0.0))], "before"),
    ],
)
async def test_what_is_no_session_is_refused_by_name(
    questions: list[SessionQuestion], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await InProcessSessionEncoder().encode(questions, BUDGET_S)
    assert caught.value.field == field


@pytest.mark.parametrize("budget_s", [0.0, -1.0, math.nan])
async def test_nothing_starts_without_budget(budget_s: float) -> None:
    with pytest.raises(DeadlineExceeded):
        await InProcessSessionEncoder().encode([question()], budget_s)


def test_settings_choose_the_place(tmp_path: Path) -> None:
    clock = ManualClock()
    here = open_session_encoder(InferenceSettings(triton="", models_dir=tmp_path), clock)
    there = open_session_encoder(InferenceSettings(triton="server:8001"), clock)
    assert isinstance(here, InProcessSessionEncoder)
    assert isinstance(there, TritonSessionEncoder)
    assert here.model == there.model == recipe.NAME
    with pytest.raises(SettingsRefused) as caught:
        open_session_encoder(
            InferenceSettings(triton="server:8001", triton_ca=tmp_path / "absent"), clock
        )
    assert caught.value.field == "triton_ca"


@pytest.fixture
async def encoder(fake_triton: Any) -> AsyncIterator[TritonSessionEncoder]:
    encoder = TritonSessionEncoder(fake_triton[1], ManualClock())
    yield encoder
    await encoder.close()


def whole(**wrong: Any) -> dict[str, Any]:
    """What the server says to `[question()]`."""
    state = recipe.encode(*rows([question()]))
    return {"STATE": state, "MODEL": np.array([[recipe.NAME]], dtype=object), **wrong}


async def test_the_answer_of_a_server_is_read(
    fake_triton: Any, encoder: TritonSessionEncoder, response: Any
) -> None:
    fake_triton[0].answer = lambda request, _: response(**whole())
    [there] = await encoder.encode([question()], BUDGET_S)
    [here] = await InProcessSessionEncoder().encode([question()], BUDGET_S)
    np.testing.assert_array_equal(there.total, here.total)
    assert (there.counted, there.talks, there.logs, there.at_s) == (
        here.counted,
        here.talks,
        here.logs,
        here.at_s,
    )
    (request,) = fake_triton[0].requests
    assert request.model_name == "session_encoder"
    assert request.parameters["timeout"].int64_param <= BUDGET_S * 1e6


@pytest.mark.parametrize(
    "wrong",
    [
        {"MODEL": np.array([["session-recent@2"]], dtype=object)},
        {"STATE": np.full((1, 8), np.nan)},
        {"STATE": np.zeros((1, 7))},
        {"STATE": np.zeros((1, 8), np.float32)},
        {"STATE": np.array([[9.0, 0, 0, 0, 1, 1, 1, 1]])},
        {"STATE": np.array([[0.0, 0, 0, 0, -1, 1, 1, 1]])},
    ],
)
async def test_an_answer_that_is_none_is_a_failure_of_the_model(
    fake_triton: Any, encoder: TritonSessionEncoder, response: Any, wrong: dict[str, Any]
) -> None:
    fake_triton[0].answer = lambda request, _: response(**whole(**wrong))
    with pytest.raises(ModelFailed):
        await encoder.encode([question()], BUDGET_S)


async def test_a_server_that_fails_is_left_alone_until_it_may_be_back(
    fake_triton: Any, response: Any
) -> None:
    fake, clock = fake_triton[0], ManualClock()
    encoder = TritonSessionEncoder(fake_triton[1], clock)
    fake.answer = lambda request, _: response(**whole(STATE=np.zeros((1, 7))))
    for _ in range(3):
        with pytest.raises(ModelFailed):
            await encoder.encode([question()], BUDGET_S)
    with pytest.raises(Unavailable):
        await encoder.encode([question()], BUDGET_S)
    assert len(fake.requests) == 3
    fake.answer = lambda request, _: response(**whole())
    await clock.advance(RETRY_S)
    assert len(await encoder.encode([question()], BUDGET_S)) == 1
    await encoder.close()
    with pytest.raises(Unavailable):
        await encoder.encode([question()], BUDGET_S)
