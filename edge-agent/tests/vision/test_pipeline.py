"""The pipeline's rules on twins: what is scored, what is covered, what is never raw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inyeon_edge.effects import BackgroundBlur, Compositor, CoverCard
from inyeon_edge.effects.cover import draw_card
from inyeon_edge.frame import Frame
from inyeon_edge.vision.results import Presence, ViewResult

pytestmark = pytest.mark.unit

Film = Callable[[int], Frame]
CARD = draw_card(64, 48)


def run(pipeline: Any, film: Film, numbers: range, covered: bool = False) -> list[ViewResult]:
    return [pipeline.process(film(number), covered) for number in numbers]


def is_card(view: ViewResult) -> bool:
    return bool((view.image == CARD).all())


def test_a_person_is_shown_with_a_blurred_room(stage: Any, film: Film) -> None:
    views = run(stage.pipeline(), film, range(12))
    assert all(view.blurred and not view.covered for view in views)
    assert all(not (view.image == film(view.index).image).all() for view in views)
    assert views[-1].presence is Presence.ALONE
    assert views[-1].person_share == pytest.approx(0.4)
    assert {"segment", "presence", "effects", "total"} <= set(views[0].timings_ms)


def test_the_filter_scores_twice_a_second_and_the_frame_as_sent(stage: Any, film: Film) -> None:
    views = run(stage.pipeline(), film, range(20))
    scored = [view for view in views if view.scored is not None]
    assert [view.index for view in scored] == [0, 5, 10, 15]
    for view, image in zip(scored, stage.scored_images, strict=True):
        assert (view.image == image).all()


def test_a_far_person_is_scored_before_the_blur(stage: Any, film: Film) -> None:
    stage.share = 0.1
    view = stage.pipeline().process(film(0), False)
    assert view.blurred
    assert (stage.scored_images[0] == film(0).image).all()


def test_an_unsafe_first_frame_is_covered_before_it_is_seen(stage: Any, film: Film) -> None:
    stage.unsafe = {"Drawing": 0.9}
    view = stage.pipeline().process(film(0), False)
    assert view.covered and is_card(view)
    assert view.cover_reason == "LOCAL_DRAWING"
    assert view.scored is not None and view.scored.by_class()["Drawing"] == 0.9


def test_a_cut_is_scored_at_once(stage: Any, film: Film) -> None:
    pipeline = stage.pipeline()
    run(pipeline, film, range(2))
    stage.unsafe = {"Drawing": 0.9}
    other = np.zeros((48, 64, 3), np.uint8)
    other[::2] = 255
    view = pipeline.process(Frame(other, 2, 0.2), False)
    assert view.covered


def test_while_covered_the_picture_beneath_is_scored(stage: Any, film: Film) -> None:
    views = run(stage.pipeline(), film, range(6), covered=True)
    assert all(is_card(view) and view.cover_reason == "CALLER" for view in views)
    assert len(stage.scored_images) == 2
    assert not any((image == CARD).all() for image in stage.scored_images)


def test_it_uncovers_only_when_quiet_and_the_verdict_is_clear(stage: Any, film: Film) -> None:
    pipeline = stage.pipeline()
    stage.unsafe = {"Drawing": 0.9}
    run(pipeline, film, range(3))
    stage.unsafe = {}
    assert all(view.covered for view in run(pipeline, film, range(3, 40)))
    pipeline.cover.verdict_clear = True
    views = run(pipeline, film, range(40, 50))
    assert not views[-1].covered


def test_nobody_means_card(stage: Any, film: Film) -> None:
    stage.share, stage.faces = 0.0, []
    views = run(stage.pipeline(), film, range(12))
    assert all(is_card(view) and view.cover_reason == "NOBODY" for view in views)
    assert views[-1].presence is Presence.AWAY
    assert not views[-1].person


def test_a_person_who_comes_back_is_shown(stage: Any, film: Film) -> None:
    pipeline = stage.pipeline()
    faces, stage.share, stage.faces = stage.faces, 0.0, []
    run(pipeline, film, range(12))
    stage.share, stage.faces = 0.4, faces
    assert not run(pipeline, film, range(12, 30))[-1].covered


@pytest.mark.parametrize("part", ["segment", "filter"])
def test_a_broken_model_covers_and_heals(stage: Any, film: Film, part: str) -> None:
    pipeline = stage.pipeline()
    stage.broken = {part: RuntimeError("model lost")}
    views = run(pipeline, film, range(4))
    assert all(is_card(view) for view in views)
    assert pipeline.failures == 4
    stage.broken = {}
    assert not pipeline.process(film(9), False).covered


@pytest.mark.parametrize(
    "mask",
    [
        np.full((10, 10), np.nan, np.float32),
        np.zeros((2, 2, 2), np.float32),
        np.zeros((0, 0), np.float32),
    ],
    ids=["nan", "planes", "empty"],
)
def test_a_wrong_mask_covers(stage: Any, film: Film, mask: np.ndarray) -> None:
    pipeline = stage.pipeline()
    stage.mask = mask
    assert is_card(pipeline.process(film(0), False))
    stage.mask = None
    assert not pipeline.process(film(1), False).covered


def test_a_broken_presence_model_leaves_presence_unknown(stage: Any, film: Film) -> None:
    stage.broken = {"full": RuntimeError("model lost")}
    views = run(stage.pipeline(), film, range(5))
    assert {view.presence for view in views} == {Presence.UNKNOWN}
    assert not any(view.person for view in views)


def test_when_blur_and_card_fail_it_is_black(stage: Any, film: Film) -> None:
    def broken(*_: object) -> Any:
        raise RuntimeError

    view = stage.pipeline(Compositor(broken, broken)).process(film(0), False)
    assert view.covered and not view.image.any()
    assert view.cover_reason == "EFFECT_FAILED"


def test_when_only_the_blur_fails_it_is_the_card(stage: Any, film: Film) -> None:
    def broken(*_: object) -> Any:
        raise RuntimeError

    view = stage.pipeline(Compositor(broken, CoverCard())).process(film(0), False)
    assert is_card(view) and view.scored is None


def test_dark_and_frozen_pictures_are_no_picture(stage: Any, film: Film) -> None:
    pipeline = stage.pipeline()
    black = np.zeros((48, 64, 3), np.uint8)
    assert pipeline.process(Frame(black, 0, 0.0), False).presence is Presence.NO_PICTURE
    same = film(3).image
    views = [pipeline.process(Frame(same, n, n / 10), False) for n in range(1, 60)]
    assert views[20].presence is Presence.ALONE
    assert views[-1].presence is Presence.NO_PICTURE


def test_no_picture_forgets(stage: Any, film: Film) -> None:
    pipeline = stage.pipeline()
    run(pipeline, film, range(8))
    assert pipeline.no_picture() is Presence.NO_PICTURE
    view = pipeline.process(film(8), False)
    assert view.presence is Presence.UNKNOWN
    assert view.scored is not None


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([(1, 1), (1, 7), (30, 400), (400, 30), (2, 2), (48, 64)]),
            st.floats(-1e6, 1e6),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_any_sizes_and_times_never_raise_and_never_show_raw(
    make_stage: Callable[[], Any], shots: list[tuple[tuple[int, int], float, bool]]
) -> None:
    pipeline = make_stage().pipeline(Compositor(BackgroundBlur(), CoverCard()))
    for number, (size, at_s, covered) in enumerate(shots):
        image = np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)
        view = pipeline.process(Frame(image, number, at_s), covered)
        assert view.image.shape == image.shape
        assert view.blurred or view.covered
        assert not np.shares_memory(view.image, image)
