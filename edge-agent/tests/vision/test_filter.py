from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from inyeon_edge.engine import TensorSpec
from inyeon_edge.engine.fake import FakeSession
from inyeon_edge.errors import ShapeError
from inyeon_edge.vision.filter import Filter
from inyeon_edge.vision.segmenter import Segmenter, person_share

pytestmark = pytest.mark.unit

IN = (TensorSpec("pictures", (-1, 224, 224, 3)),)
OUT = (TensorSpec("probabilities", (-1, 5)), TensorSpec("features", (-1, 1280)))
IMAGE = np.full((30, 40, 3), 51, np.uint8)


def answering(scores: object, feature: object = None) -> Filter:
    feature = np.zeros((1, 1280)) if feature is None else feature
    return Filter(
        FakeSession(
            IN,
            OUT,
            lambda _: {
                "probabilities": np.asarray(scores, np.float32),
                "features": np.asarray(feature, np.float32),
            },
        )
    )


def test_the_whole_picture_goes_in_as_shares_of_one() -> None:
    seen: list[np.ndarray] = []

    def rule(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        seen.append(inputs["pictures"])
        return {"probabilities": np.eye(1, 5, dtype=np.float32), "features": np.zeros((1, 1280))}

    made = Filter(FakeSession(IN, OUT, rule))(IMAGE)
    assert made.scores == (1, 0, 0, 0, 0)
    assert seen[0].shape == (1, 224, 224, 3)
    assert seen[0] == pytest.approx(0.2)


@pytest.mark.parametrize(
    "scores",
    [
        [[np.nan, 0, 0, 0, 1]],
        [[0.5, 0.5, 0, 0]],
        [[0.9, 0.9, 0, 0, 0]],
        [[-0.5, 1.5, 0, 0, 0]],
        [[1, 0, 0, 0, 0]] * 2,
    ],
)
def test_what_is_no_probability_is_refused(scores: object) -> None:
    with pytest.raises(ShapeError):
        answering(scores)(IMAGE)


def test_a_wrong_feature_is_refused() -> None:
    with pytest.raises(ShapeError):
        answering([[1, 0, 0, 0, 0]], np.zeros((1, 7)))(IMAGE)


def test_a_model_of_another_form_is_refused() -> None:
    with pytest.raises(ShapeError):
        Filter(FakeSession((TensorSpec("x", (-1, 3, 224, 224)),), OUT, lambda _: {}))
    with pytest.raises(ShapeError):
        Filter(FakeSession(IN, OUT[:1], lambda _: {}))


def segmenting(answer: np.ndarray) -> Segmenter:
    spec = (TensorSpec("x", (1, 4, 8, 3)),)
    return Segmenter(FakeSession(spec, (TensorSpec("m", (1, 4, 8, 1)),), lambda _: {"m": answer}))


def test_the_mask_is_clipped_and_measured() -> None:
    raw = np.zeros((1, 4, 8, 1), np.float32)
    raw[0, :2] = 1.5
    segmenter = segmenting(raw)
    mask = segmenter(IMAGE)
    assert segmenter.size == mask.shape == (4, 8)
    assert mask.max() == 1
    assert person_share(mask) == 0.5


@pytest.mark.parametrize("answer", [np.full((1, 4, 8, 1), np.nan), np.zeros((1, 8, 4, 1))])
def test_a_wrong_mask_is_refused(answer: np.ndarray) -> None:
    with pytest.raises(ShapeError):
        segmenting(answer)(IMAGE)
