from __future__ import annotations

from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from inyeon_edge.capture import open_source
from inyeon_edge.capture.open import open_switchable, parse_scenario
from inyeon_edge.capture.switchable import Step
from inyeon_edge.errors import CameraVanished, UndecodableSource, UnknownSource

pytestmark = pytest.mark.unit


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """30 frames at 30 fps whose brightness grows with their number."""
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(30):
            image = np.full((48, 64, 3), 8 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_every_frame_of_a_film_in_order(film: Path) -> None:
    frames = list(open_source(str(film), fps=None, loop=False).frames())
    assert [frame.index for frame in frames] == list(range(30))
    assert frames[0].image.shape == (48, 64, 3)
    means = [frame.image.mean() for frame in frames]
    assert means == sorted(means)


def test_a_loop_begins_anew_with_growing_index(film: Path) -> None:
    frames = list(islice(open_source(str(film), fps=None).frames(), 65))
    assert [frame.index for frame in frames] == list(range(65))
    assert frames[30].image.mean() == pytest.approx(frames[0].image.mean(), abs=2)


def test_pacing_thins_by_time(film: Path) -> None:
    frames = list(open_source(str(film), fps=150, loop=False).frames())
    assert len(frames) == 30  # faster than the film: every frame
    slow = open_source(str(film), fps=15, loop=False)
    shots = list(slow.frames())
    assert len(shots) == 15  # half of them
    took_s = shots[-1].captured_s - shots[0].captured_s
    assert 0.8 < took_s < 5


def test_a_film_that_vanishes_says_so(film: Path) -> None:
    frames = open_source(str(film), fps=None).frames()
    list(islice(frames, 30))
    film.unlink()
    with pytest.raises(CameraVanished):
        next(frames)


@pytest.mark.parametrize("content", [b"", b"this is no film", b"\x00\x00\x00\x18ftypmp42" * 9])
def test_undecodable_films_give_a_reason(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(UndecodableSource, match=r"broken\.mp4") as raised:
        next(open_source(str(path)).frames())
    assert raised.value.reason == "SOURCE_UNDECODABLE"


def test_a_truncated_film_is_an_error_or_short_but_no_crash(film: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.mp4"
    path.write_bytes(film.read_bytes()[:1500])
    with pytest.raises(UndecodableSource):
        list(open_source(str(path), fps=None, loop=False).frames())


def test_absent_files_and_unknown_names_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UndecodableSource):
        open_source(str(tmp_path / "absent.mp4"))
    with pytest.raises(UndecodableSource):
        open_source(str(tmp_path / "absent.png"))
    for spec in ("drawn:castle", "", "scenario:scenario:x@0@0"):
        with pytest.raises(UnknownSource):
            open_source(spec)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (30, 4000, 3), (9, 7, 4), (5, 5, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pictures_of_any_form(tmp_path: Path, shape: tuple[int, ...], dtype: type) -> None:
    path = tmp_path / "picture.png"
    assert cv2.imwrite(str(path), np.full(shape, 77, dtype))
    frames = list(islice(open_source(str(path), fps=None).frames(), 3))
    assert all(frame.image.ndim == 3 and frame.image.shape[2] == 3 for frame in frames)
    assert max(frames[0].image.shape) <= 1280


def test_colours_are_red_green_blue(tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    cv2.imwrite(str(path), np.full((8, 8, 3), (0, 0, 255), np.uint8))
    assert next(open_source(str(path), None).frames()).image[4, 4].tolist() == [255, 0, 0]


def test_a_still_picture_moves(tmp_path: Path) -> None:
    path = tmp_path / "noise.png"
    cv2.imwrite(str(path), np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8))
    one, other = islice(open_source(str(path), None).frames(), 2)
    assert (one.image != other.image).any()


def test_no_picture_in_a_picture_file(tmp_path: Path) -> None:
    for name, content in (("empty.png", b""), ("text.jpg", b"hello")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UndecodableSource):
            open_source(str(tmp_path / name))


def test_one_round_of_a_drawing_without_loop() -> None:
    assert len(list(open_source("drawn:empty-room", None, loop=False).frames())) == 150


def test_closing_ends_a_paced_source() -> None:
    source = open_source("drawn:empty-room", fps=0.01)
    frames = source.frames()
    next(frames)
    source.close()
    assert list(frames) == []


def test_scenarios_are_read_and_wrong_ones_refused() -> None:
    assert parse_scenario("scenario:a.mp4@0,drawn:cartoon@20.5") == (
        Step(0.0, "a.mp4"),
        Step(20.5, "drawn:cartoon"),
    )
    for spec in ("scenario:a@1", "scenario:a@0,b@0", "scenario:a", "scenario:@0", "scenario:a@x"):
        with pytest.raises(UnknownSource):
            parse_scenario(spec)


def test_any_spec_can_be_switched_at_run_time() -> None:
    source = open_switchable("drawn:empty-room", fps=None)
    frames = source.frames()
    room = next(frames).image
    source.switch_to("drawn:cartoon")
    shown = [frame.image for frame in islice(frames, 3)]
    assert (shown[-1] != room).mean() > 0.5
    assert source.spec == "drawn:cartoon"
    source.close()


def test_a_scenario_plays_its_first_step() -> None:
    source = open_source("scenario:drawn:cartoon@0,drawn:empty-room@100", fps=None)
    assert next(source.frames()).index == 0
    source.close()
