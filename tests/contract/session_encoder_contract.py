"""What every SessionEncoder must do; adapters give `encoder`."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest

from inyeon.inference import session_recipe as recipe
from inyeon.inference.port import SpaceId
from inyeon.inference.sessions import (
    MAX_QUESTIONS,
    MAX_TALKS,
    InProcessSessionEncoder,
    SessionEncoder,
    SessionQuestion,
    SessionState,
    SessionTalk,
)
from inyeon.runtime.errors import DeadlineExceeded, InvalidRequest

BUDGET_S = 20.0  # nothing here is about speed, and machines are shared
APART = 1e-9
"""Both run the same lines in float64; only their numpy and its threads may differ."""


def evening(seed: int, talks: int = MAX_TALKS, dims: int = 64) -> SessionQuestion:
    """Somebody's conversations of an evening, chosen by `seed`."""
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(talks, dims))
    directions = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    lengths = np.exp(draw.normal(4.0, 1.5, size=talks))
    ends = 1.7e9 + np.cumsum(lengths + draw.uniform(2.0, 900.0, talks))
    told = zip(directions, lengths.tolist(), ends.tolist(), strict=True)
    return SessionQuestion(
        SpaceId("interests", "1", dims), None, tuple(SessionTalk(*one) for one in told)
    )


def numbers(state: SessionState) -> list[float]:
    return [*state.total.tolist(), state.counted, state.talks, state.logs, state.at_s]


class SessionEncoderContract:
    """Subclasses give one fixture: `encoder`."""

    async def test_a_known_answer(self, encoder: SessionEncoder) -> None:
        """Golden: four minutes where one is usual count whole, and half of that is left after half
        an hour, when two minutes count by what is usual now."""
        space, there, other = SpaceId("interests", "1", 2), [1.0, 0.0], [0.0, 1.0]
        first = SessionTalk(np.array(there, np.float32), 240.0, 10_000.0)
        second = SessionTalk(np.array(other, np.float32), 120.0, 11_800.0)
        [state] = await encoder.encode([SessionQuestion(space, None, (first, second))], BUDGET_S)
        usual = (0.5 * math.log2(240.0) + math.log2(60.0)) / 1.5
        count = (math.log2(120.0) - usual) / 2.0
        logs = 0.5 * math.log2(240.0) + math.log2(120.0)
        expected = [0.5, count, 0.5 + count, 1.5, logs, 11_800.0]
        np.testing.assert_allclose(numbers(state), expected, atol=APART)

    async def test_it_says_what_the_recipe_says(self, encoder: SessionEncoder) -> None:
        asked = [evening(seed, talks=1 + seed % MAX_TALKS) for seed in range(MAX_QUESTIONS)]
        here = await InProcessSessionEncoder().encode(asked, BUDGET_S)
        there = await encoder.encode(asked, BUDGET_S)
        for one, other in zip(here, there, strict=True):
            np.testing.assert_allclose(numbers(one), numbers(other), atol=APART, rtol=APART)

    async def test_it_goes_on_from_what_was_known(self, encoder: SessionEncoder) -> None:
        whole = evening(3)
        [once] = await encoder.encode([whole], BUDGET_S)
        [half] = await encoder.encode(
            [SessionQuestion(whole.space, None, whole.talks[:7])], BUDGET_S
        )
        [rest] = await encoder.encode(
            [SessionQuestion(whole.space, half, whole.talks[7:])], BUDGET_S
        )
        np.testing.assert_allclose(numbers(once), numbers(rest), atol=APART, rtol=APART)

    @pytest.mark.parametrize("dims", [1, 64, 384])
    async def test_any_space_will_do(self, encoder: SessionEncoder, dims: int) -> None:
        [state] = await encoder.encode([evening(1, dims=dims)], BUDGET_S)
        assert state.total.shape == (dims,)

    async def test_many_at_once_each_get_their_own(self, encoder: SessionEncoder) -> None:
        asked = [encoder.encode([evening(seed)], BUDGET_S) for seed in range(20)]
        for seed, [state] in enumerate(await asyncio.gather(*asked)):
            [expected] = await InProcessSessionEncoder().encode([evening(seed)], BUDGET_S)
            np.testing.assert_allclose(numbers(state), numbers(expected), atol=APART, rtol=APART)

    async def test_refusals(self, encoder: SessionEncoder) -> None:
        with pytest.raises(InvalidRequest):
            await encoder.encode([], BUDGET_S)
        with pytest.raises(DeadlineExceeded):
            await encoder.encode([evening(1)], 0.0)

    async def test_its_name(self, encoder: SessionEncoder) -> None:
        assert encoder.model == recipe.NAME

    async def test_closing_twice_does_nothing(self, encoder: SessionEncoder) -> None:
        await encoder.close()
        await encoder.close()
