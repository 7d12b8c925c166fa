from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inyeon_edge.vision.anchors import Box
from inyeon_edge.vision.presence import PresenceWatch
from inyeon_edge.vision.results import Presence

pytestmark = pytest.mark.unit

IMAGE = np.zeros((8, 8, 3), np.uint8)
BODY = [Box(0.8, 0, 0, 1, 1)]


def look(watch: PresenceWatch, area: float, start: int, frames: int) -> Presence:
    state = watch.state
    for number in range(start, start + frames):
        state = watch(IMAGE, area, number / 15)
    return state


def test_a_face_is_a_person_whatever_the_area(stage: Any) -> None:
    assert look(stage.watch(), 0.0, 0, 15) is Presence.ALONE


def test_most_looks_at_a_known_face_are_by_the_cheap_model(stage: Any) -> None:
    look(stage.watch(), 0.4, 0, 150)
    assert stage.asked["full"] <= 22  # 2 a second for 10 s, and the first two
    assert 50 <= stage.asked["short"] <= 90
    assert "pose" not in stage.asked


def test_a_body_counts_only_with_area(stage: Any) -> None:
    stage.faces, stage.body = [], BODY
    assert look(stage.watch(), 0.03, 0, 15) is Presence.ALONE
    assert look(stage.watch(), 0.029, 0, 15) is Presence.AWAY


def test_area_alone_never_counts(stage: Any) -> None:
    stage.faces = []
    assert look(stage.watch(), 1.0, 0, 30) is Presence.AWAY


def test_an_empty_room_never_costs_a_pose(stage: Any) -> None:
    stage.faces = []
    look(stage.watch(), 0.0, 0, 150)
    assert "pose" not in stage.asked
    assert stage.asked["full"] <= 51  # 5 a second


def test_pose_runs_at_most_twice_a_second(stage: Any) -> None:
    stage.faces, stage.body = [], BODY
    look(stage.watch(), 0.5, 0, 150)
    assert 15 <= stage.asked["pose"] <= 22


def test_two_faces_are_several(stage: Any) -> None:
    stage.faces = [Box(0.9, 0, 0, 0.3, 0.3), Box(0.8, 0.6, 0.6, 0.9, 0.9)]
    assert look(stage.watch(), 0.5, 0, 20) is Presence.SEVERAL


def test_a_face_elsewhere_is_confirmed_anew(stage: Any) -> None:
    watch = stage.watch()
    look(watch, 0.4, 0, 3)
    before = stage.asked["full"]
    stage.faces = [Box(0.9, 0.9, 0.9, 1.0, 1.0)]
    look(watch, 0.4, 3, 3)
    assert stage.asked["full"] > before


def test_forgetting_is_not_knowing(stage: Any) -> None:
    watch = stage.watch()
    look(watch, 0.4, 0, 15)
    watch.forget()
    assert watch.state is Presence.UNKNOWN
    assert watch.people == 0


@settings(max_examples=40, deadline=None)
@given(times=st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=40))
def test_clocks_that_jump_never_raise(make_stage: Any, times: list[float]) -> None:
    watch = make_stage().watch()
    for at_s in times:
        assert watch(IMAGE, 0.5, at_s) in set(Presence)
