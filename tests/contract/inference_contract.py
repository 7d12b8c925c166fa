"""What every Inference must do; adapters give `inference` and `models`."""

from __future__ import annotations

import asyncio
import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from inyeon.inference.banks import MAX_ENTRIES
from inyeon.inference.catalogue import IMAGE_MODELS, LABELS
from inyeon.inference.engine import Models
from inyeon.inference.errors import BankTooLarge
from inyeon.inference.port import BankEntry, Inference, SpaceId
from inyeon.runtime.errors import DeadlineExceeded, InvalidRequest

BUDGET_S = 20.0  # nothing here is about speed, and machines are shared

Float = NDArray[np.float32]


def vector(seed: int, dims: int = 64) -> Float:
    """An embedding, chosen by `seed`."""
    return np.random.default_rng(seed).normal(size=dims).astype(np.float32)


def picture(seed: int, height: int = 120, width: int = 160) -> NDArray[np.uint8]:
    """A harmless picture: a coloured slope with noise."""
    noise = np.random.default_rng(seed).integers(0, 60, (height, width, 3))
    slope = np.linspace(0, 150, width)[None, :, None]
    return (noise + slope).astype(np.uint8)


def entries(space: SpaceId, count: int, banks: int = 3) -> list[BankEntry]:
    """Entries e0 ..., spread over banks b0 ...; entry i is `vector(i)` made longer."""
    return [
        BankEntry(f"e{i}", f"b{i % banks}", space, vector(i, space.dims) * np.float32(1 + i))
        for i in range(count)
    ]


class InferenceContract:
    """Subclasses give two fixtures: `inference` and `models`."""

    async def test_it_is_ready_and_not_degraded(self, inference: Inference) -> None:
        assert await inference.ready()
        assert not inference.degraded

    async def test_a_head_without_banks_gives_probabilities_and_no_hit(
        self, inference: Inference, models: Models
    ) -> None:
        await inference.put_bank([], generation=_next())
        answer = await inference.judge_embedding(models.head.space, vector(1), BUDGET_S)
        assert answer.hits == ()
        assert answer.classes == LABELS
        assert answer.scores.dtype == np.float32
        assert answer.models[0] == models.head.model
        np.testing.assert_allclose(answer.scores, models.head.probabilities(vector(1)), atol=1e-5)

    async def test_the_nearest_entry_of_each_bank_is_found(
        self, inference: Inference, models: Models
    ) -> None:
        space = models.head.space
        await inference.put_bank(entries(space, 30), generation=_next())
        answer = await inference.judge_embedding(space, vector(7) * np.float32(0.01), BUDGET_S)
        hits = {hit.bank: hit for hit in answer.hits}
        assert set(hits) == {"b0", "b1", "b2"}
        assert hits["b1"].entry_id == "e7"
        assert hits["b1"].similarity == pytest.approx(1.0, abs=1e-5)
        assert all(-1.0 <= hit.similarity < 0.9 for bank, hit in hits.items() if bank != "b1")

    async def test_an_opposite_is_no_neighbour(self, inference: Inference, models: Models) -> None:
        space = models.head.space
        await inference.put_bank([BankEntry("e", "only", space, vector(3))], generation=_next())
        answer = await inference.judge_embedding(space, -vector(3), BUDGET_S)
        assert answer.hits[0].similarity == pytest.approx(-1.0, abs=1e-5)

    async def test_a_zero_embedding_is_near_to_nothing(
        self, inference: Inference, models: Models
    ) -> None:
        space = models.head.space
        await inference.put_bank(entries(space, 3), generation=_next())
        answer = await inference.judge_embedding(space, np.zeros(64, np.float32), BUDGET_S)
        assert [hit.similarity for hit in answer.hits] == [0.0, 0.0, 0.0]

    async def test_an_entry_that_is_gone_is_not_found_again(
        self, inference: Inference, models: Models
    ) -> None:
        space = models.head.space
        whole = entries(space, 12, banks=1)
        await inference.put_bank(whole, generation=_next())
        await inference.put_bank(whole[:5] + whole[6:], generation=_next())
        answer = await inference.judge_embedding(space, vector(5), BUDGET_S)
        assert answer.hits[0].entry_id != "e5"
        assert answer.hits[0].similarity < 0.9

    async def test_an_older_generation_changes_nothing(
        self, inference: Inference, models: Models
    ) -> None:
        space = models.head.space
        older, newer = _next(), _next()
        await inference.put_bank(entries(space, 4, banks=1), generation=newer)
        await inference.put_bank([], generation=older)
        answer = await inference.judge_embedding(space, vector(2), BUDGET_S)
        assert answer.hits[0].entry_id == "e2"
        assert answer.models[-1] == f"bank@{newer}"

    async def test_entries_of_another_space_are_never_compared(
        self, inference: Inference, models: Models
    ) -> None:
        space = models.head.space
        other = SpaceId(space.model, "another", space.dims)
        await inference.put_bank(entries(other, 6), generation=_next())
        answer = await inference.judge_embedding(space, vector(2), BUDGET_S)
        assert answer.hits == ()

    async def test_a_large_bank_is_searched_exactly(
        self, inference: Inference, models: Models
    ) -> None:
        space = models.head.space
        whole = entries(space, 9000, banks=2)
        await inference.put_bank(whole, generation=_next())
        answer = await inference.judge_embedding(space, vector(8765), BUDGET_S)
        hits = {hit.bank: hit for hit in answer.hits}
        assert hits["b1"].entry_id == "e8765"
        others = np.stack([vector(i) for i in range(0, 9000, 2)])
        cosines = others @ vector(8765) / np.linalg.norm(others, axis=1)
        best = int(cosines.argmax())
        assert hits["b0"].entry_id == f"e{2 * best}"
        expected = cosines[best] / np.linalg.norm(vector(8765))
        assert hits["b0"].similarity == pytest.approx(float(expected), abs=1e-5)

    async def test_many_questions_at_once_each_get_their_own_answer(
        self, inference: Inference, models: Models
    ) -> None:
        space = models.head.space
        await inference.put_bank(entries(space, 40, banks=1), generation=_next())
        asked = [inference.judge_embedding(space, vector(i), BUDGET_S) for i in range(40)]
        answers = await asyncio.gather(*asked)
        assert [answer.hits[0].entry_id for answer in answers] == [f"e{i}" for i in range(40)]

    async def test_a_bank_that_is_too_large_is_refused_and_the_old_one_stays(
        self, inference: Inference, models: Models
    ) -> None:
        space = models.head.space
        await inference.put_bank(entries(space, 4, banks=1), generation=_next())
        too_many = [BankEntry("e", "b", space, vector(0))] * (MAX_ENTRIES + 1)
        with pytest.raises(BankTooLarge):
            await inference.put_bank(too_many, generation=_next())
        answer = await inference.judge_embedding(space, vector(2), BUDGET_S)
        assert answer.hits[0].entry_id == "e2"

    @pytest.mark.parametrize("wrong", [np.zeros(64), np.full(64, np.nan), np.ones(63)])
    async def test_an_entry_that_is_no_vector_is_refused(
        self, inference: Inference, models: Models, wrong: Float
    ) -> None:
        entry = BankEntry("e", "b", models.head.space, wrong.astype(np.float32))
        with pytest.raises(InvalidRequest) as caught:
            await inference.put_bank([entry], generation=_next())
        assert caught.value.field == "embedding"

    @pytest.mark.parametrize("wrong", [np.full(64, np.inf), np.ones(63), np.ones((1, 64))])
    async def test_numbers_that_are_no_embedding_are_refused(
        self, inference: Inference, models: Models, wrong: Float
    ) -> None:
        with pytest.raises(InvalidRequest) as caught:
            await inference.judge_embedding(models.head.space, wrong, BUDGET_S)
        assert caught.value.field == "embedding"

    async def test_another_space_is_refused_by_name(
        self, inference: Inference, models: Models
    ) -> None:
        other = SpaceId(models.head.space.model, "another", 64)
        with pytest.raises(InvalidRequest, match="another") as caught:
            await inference.judge_embedding(other, vector(0), BUDGET_S)
        assert caught.value.field == "space"

    @pytest.mark.parametrize("budget_s", [0.0, -1.0, float("nan")])
    async def test_no_call_starts_without_budget(
        self, inference: Inference, models: Models, budget_s: float
    ) -> None:
        with pytest.raises(DeadlineExceeded):
            await inference.judge_embedding(models.head.space, vector(0), budget_s)
        with pytest.raises(DeadlineExceeded):
            await inference.judge_image(picture(0), budget_s)

    async def test_each_image_model_votes(self, inference: Inference) -> None:
        votes = await inference.judge_image(picture(1), BUDGET_S)
        assert [vote.model for vote in votes] == [model.model for model in IMAGE_MODELS]
        for vote in votes:
            assert vote.classes == LABELS
            assert vote.scores.sum() == pytest.approx(1.0, abs=1e-4)

    @pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (299, 299), (700, 20)])
    async def test_pictures_of_any_size_are_judged(
        self, inference: Inference, height: int, width: int
    ) -> None:
        assert len(await inference.judge_image(picture(2, height, width), BUDGET_S)) == 2

    @pytest.mark.parametrize(
        "wrong",
        [
            np.zeros((4, 4, 3), np.float32),
            np.zeros((4, 4), np.uint8),
            np.zeros((4, 4, 4), np.uint8),
            np.zeros((0, 4, 3), np.uint8),
            np.zeros((4097, 1, 3), np.uint8),
        ],
    )
    async def test_what_is_no_picture_is_refused(
        self, inference: Inference, wrong: NDArray[np.uint8]
    ) -> None:
        with pytest.raises(InvalidRequest) as caught:
            await inference.judge_image(wrong, BUDGET_S)
        assert caught.value.field == "picture"

    async def test_a_caller_that_leaves_disturbs_nobody(
        self, inference: Inference, models: Models
    ) -> None:
        space = models.head.space
        for _ in range(20):
            task = asyncio.ensure_future(inference.judge_embedding(space, vector(0), BUDGET_S))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert (await inference.judge_embedding(space, vector(0), BUDGET_S)).classes == LABELS
        assert not inference.degraded

    async def test_closing_twice_does_nothing(self, inference: Inference) -> None:
        await inference.close()
        await inference.close()


_generations = itertools.count(1)


def _next() -> int:
    """Rises."""
    return next(_generations)
