from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from inyeon_edge.effects import BackgroundBlur, Compositor, CoverCard
from inyeon_edge.effects.cover import draw_card
from inyeon_edge.frame import Frame
from inyeon_edge.vision.incoming import IncomingCheck

pytestmark = pytest.mark.unit

Film = Callable[[int], Frame]


def check(stage: Any) -> IncomingCheck:
    return IncomingCheck(stage.score, Compositor(BackgroundBlur(), CoverCard()))


def test_frames_are_counted_and_filtered_once_a_second(stage: Any, film: Film) -> None:
    incoming = check(stage)
    for number in range(30):
        view = incoming.check(film(number).image, number / 10)
        assert not view.covered and (view.image == film(number).image).all()
    assert (incoming.decoded, incoming.changed, incoming.filtered) == (30, 30, 3)


def test_a_frozen_partner_does_not_change(stage: Any, film: Film) -> None:
    incoming = check(stage)
    for number in range(10):
        incoming.check(film(1).image, number / 10)
    assert (incoming.decoded, incoming.changed) == (10, 1)


def test_an_unsafe_frame_is_covered_at_once_and_stays_so(stage: Any, film: Film) -> None:
    incoming = check(stage)
    stage.unsafe = {"Porn": 0.9}
    first = incoming.check(film(0).image, 0.0)
    stage.unsafe = {}
    second = incoming.check(film(1).image, 0.1)
    for view in (first, second):
        assert view.covered and view.cover_reason == "LOCAL_PORN"
        assert (view.image == draw_card(64, 48)).all()


def test_the_platform_can_ask_for_the_cover(stage: Any, film: Film) -> None:
    view = check(stage).check(film(0).image, 0.0, covered=True)
    assert view.covered and view.cover_reason == "CALLER"
    assert view.scored is not None


def test_a_broken_filter_covers_until_it_works(stage: Any, film: Film) -> None:
    incoming = check(stage)
    stage.broken = {"filter": RuntimeError("lost")}
    assert incoming.check(film(0).image, 0.0).covered
    stage.broken = {}
    assert not incoming.check(film(1).image, 0.1).covered
    assert incoming.failures == 1


def test_a_cut_is_looked_at_before_its_second_is_over(stage: Any, film: Film) -> None:
    incoming = check(stage)
    incoming.check(film(0).image, 0.0)
    stage.unsafe = {"Drawing": 0.95}
    stripes = np.zeros((48, 64, 3), np.uint8)
    stripes[::2] = 255
    assert incoming.check(stripes, 0.1).covered
