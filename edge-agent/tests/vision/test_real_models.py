"""The real models on real pictures: what the decoding and the preprocessing are worth."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from inyeon_edge.capture import open_source
from inyeon_edge.capture.picture import read_picture
from inyeon_edge.effects.cover import draw_card
from inyeon_edge.engine import ModelLibrary
from inyeon_edge.frame import Frame, Image, fit
from inyeon_edge.vision.anchors import FACE_FULL, FACE_SHORT, POSE
from inyeon_edge.vision.build import (
    FACE_FULL_MODEL,
    FACE_SHORT_MODEL,
    POSE_MODEL,
    build_incoming,
    build_pipeline,
    build_scorer,
)
from inyeon_edge.vision.detector import Detector
from inyeon_edge.vision.results import CLASSES, Presence, ViewResult
from inyeon_edge.vision.segmenter import LANDSCAPE, SQUARE, Segmenter, person_share

pytestmark = [
    pytest.mark.integration,
    pytest.mark.engine("litert"),
    pytest.mark.engine("onnxruntime"),
]


def seen(models: ModelLibrary, spec: str, count: int, fps: float = 15.0) -> list[ViewResult]:
    """The pipeline over the first frames of a source, at 320x240, on a clock of its own."""
    pipeline = build_pipeline(models)
    frames = islice(open_source(spec, fps=None).frames(), count)
    return [
        pipeline.process(Frame(fit(f.image, 320, 240), f.index, f.index / fps), False)
        for f in frames
    ]


def clip(models_dir: Path, name: str) -> str:
    return str(models_dir / "clips" / name)


def test_faces_and_bodies_lie_where_they_are(models: ModelLibrary, models_dir: Path) -> None:
    image = read_picture(models_dir / "clips" / "astronaut.png")
    for name, grids in ((FACE_FULL_MODEL, FACE_FULL), (FACE_SHORT_MODEL, FACE_SHORT)):
        faces = Detector(models.session(name), grids)(image)
        assert len(faces) == 1
        # Her face spans about x 170..275, y 60..180 of 512.
        middle = ((faces[0].left + faces[0].right) / 2, (faces[0].top + faces[0].bottom) / 2)
        assert middle == pytest.approx((0.44, 0.24), abs=0.05)
        assert 0.1 < faces[0].right - faces[0].left < 0.4
    assert Detector(models.session(POSE_MODEL), POSE)(image)[0].score > 0.6


def test_a_face_is_found_wherever_it_is_put(models: ModelLibrary, models_dir: Path) -> None:
    detector = Detector(models.session(FACE_FULL_MODEL), FACE_FULL)
    face = cv2.resize(read_picture(models_dir / "clips" / "astronaut.png"), (200, 200))
    for left, top in ((0, 0), (380, 0), (0, 200), (380, 200)):
        scene = np.full((400, 640, 3), 90, np.uint8)
        scene[top : top + 200, left : left + 200] = face[:, : min(200, 640 - left)]
        box = detector(scene)[0]
        assert (box.left + box.right) / 2 == pytest.approx((left + 88) / 640, abs=0.03)
        assert (box.top + box.bottom) / 2 == pytest.approx((top + 48) / 400, abs=0.04)


@pytest.mark.parametrize(
    ("name", "model", "floor"),
    [
        ("tfjs_portrait", LANDSCAPE, 0.97),
        ("tfjs_portrait", SQUARE, 0.97),
        ("tfjs_pose", LANDSCAPE, 0.85),
        ("tfjs_pose", SQUARE, 0.86),
    ],
)
def test_masks_agree_with_references(
    models: ModelLibrary, vision_data: Path, name: str, model: str, floor: float
) -> None:
    image = read_picture(vision_data / f"{name}.jpg")
    reference = read_picture(vision_data / f"{name}_segmentation.png")
    person = cv2.resize(reference, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    want = person[:, :, 2] > 127
    mask = cv2.resize(Segmenter(models.session(model))(image), image.shape[1::-1]) > 0.5
    assert (mask & want).sum() / (mask | want).sum() >= floor


def test_head_and_shoulders_are_alone_clear_and_blurred(
    models: ModelLibrary, models_dir: Path
) -> None:
    views = seen(models, clip(models_dir, "carphone_pristine.mp4"), 60)
    assert {view.presence for view in views[5:]} == {Presence.ALONE}
    assert all(view.blurred and not view.covered for view in views)
    scored = [view.scored for view in views if view.scored]
    assert len(scored) == 8
    assert min(one.by_class()["Neutral"] for one in scored) > 0.7
    assert {len(one.embedding or b"") for one in scored} == {68}


def test_a_picture_of_a_person_is_alone(models: ModelLibrary, models_dir: Path) -> None:
    views = seen(models, clip(models_dir, "astronaut.png"), 20)
    assert views[-1].presence is Presence.ALONE
    assert not views[-1].covered


def test_the_empty_room_is_away_harmless_and_never_shown(models: ModelLibrary) -> None:
    views = seen(models, "drawn:empty-room", 60)
    assert {view.presence for view in views[8:]} == {Presence.AWAY}
    assert {view.cover_reason for view in views} == {"NOBODY"}
    scored = [view.scored for view in views if view.scored]
    assert min(one.by_class()["Neutral"] for one in scored) > 0.7


@pytest.mark.parametrize("size", [(320, 240), (640, 480)])
def test_the_cartoon_is_a_drawing_without_a_person(
    models: ModelLibrary, size: tuple[int, int]
) -> None:
    pipeline = build_pipeline(models)
    frames = [fit(f.image, *size) for f in islice(open_source("drawn:cartoon", None).frames(), 60)]
    # Half a second apart, so that the filter scores every one of the 60.
    views = [pipeline.process(Frame(image, n, n * 0.5), False) for n, image in enumerate(frames)]
    best = Counter(CLASSES[int(np.argmax(view.scored.scores))] for view in views if view.scored)
    assert best["Drawing"] >= 54
    assert sum(best.values()) == 60
    assert not any(view.person for view in views)
    assert all(view.covered for view in views)
    assert {view.presence for view in views[5:]} == {Presence.AWAY}
    assert min(view.person_share for view in views) >= 0.15  # what is scored is the frame as sent


def test_the_cartoon_is_covered_from_its_first_frame(
    models: ModelLibrary, models_dir: Path
) -> None:
    pipeline = build_pipeline(models)
    person = open_source(clip(models_dir, "carphone_pristine.mp4"), None)
    cartoon = open_source("drawn:cartoon", None)
    shots = [f.image for f in islice(person.frames(), 20)]
    shots += [f.image for f in islice(cartoon.frames(), 10)]
    views = [
        pipeline.process(Frame(fit(image, 320, 240), n, n / 15), False)
        for n, image in enumerate(shots)
    ]
    assert not any(view.covered for view in views[:20])
    assert all(view.covered for view in views[20:])
    assert views[20].cover_reason == "LOCAL_DRAWING"


def test_walkers_in_a_room_are_never_covered_by_the_local_rule(
    models: ModelLibrary, vision_data: Path
) -> None:
    pipeline = build_pipeline(models)
    source = open_source(str(vision_data / "intel_one-by-one-person-detection.mp4"), None, False)
    reasons: Counter[str] = Counter()
    people = 0
    for frame in islice(source.frames(), 0, None, 20):
        view = pipeline.process(
            Frame(fit(frame.image, 320, 240), frame.index, frame.index / 10), False
        )
        reasons[view.cover_reason] += 1
        people += view.person
    assert set(reasons) <= {"", "NOBODY"}
    assert people > 20


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (176, 144), (1280, 720), (240, 320)])
def test_the_partner_s_filter_takes_the_card_for_harmless(
    models: ModelLibrary, size: tuple[int, int]
) -> None:
    scored = build_scorer(models)(draw_card(*size), 0.0)
    assert scored.by_class()["Neutral"] > 0.9


def test_the_receiver_covers_the_cartoon_and_shows_the_person(
    models: ModelLibrary, models_dir: Path
) -> None:
    incoming = build_incoming(models)
    person = seen(models, clip(models_dir, "carphone_pristine.mp4"), 16)
    assert not any(incoming.check(view.image, n / 15).covered for n, view in enumerate(person))
    cartoon: Image = next(iter(open_source("drawn:cartoon", None).frames())).image
    assert incoming.check(fit(cartoon, 320, 240), 2.1).covered


def test_area_of_an_empty_room_is_nothing(models: ModelLibrary) -> None:
    image = next(iter(open_source("drawn:empty-room", None).frames())).image
    assert person_share(Segmenter(models.session(LANDSCAPE))(image)) < 0.03
