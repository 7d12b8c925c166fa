from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from inyeon_edge.capture import Capture
from inyeon_edge.errors import CameraVanished, UndecodableSource
from inyeon_edge.frame import Frame

pytestmark = pytest.mark.unit

WAIT_S = 10.0  # a bound, not a pause: everything here happens within milliseconds


class Steered:
    """A source that gives a frame each time the test allows one, then does what it is told."""

    def __init__(self, then: Exception | None = None, count: int = 3) -> None:
        self._then, self._count = then, count
        self.closed = threading.Event()

    def frames(self) -> Iterator[Frame]:
        for index in range(self._count):
            yield Frame(np.full((2, 2, 3), index, np.uint8), index, float(index))
        if self._then is not None:
            raise self._then

    def close(self) -> None:
        self.closed.set()


class Silent:
    """Gives nothing until closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def frames(self) -> Iterator[Frame]:
        self.closed.wait(WAIT_S)
        yield from ()

    def close(self) -> None:
        self.closed.set()


def running(opener: Callable[[], Steered | Silent], retry_s: float = 0.01) -> Capture:
    capture = Capture(opener, retry_s=retry_s, stale_s=WAIT_S)
    capture.start()
    return capture


def test_the_newest_frame_wins_and_dropped_ones_are_counted() -> None:
    source = Steered(count=50)
    capture = running(lambda: source)
    assert source.closed.wait(WAIT_S)
    frame = capture.next()
    assert frame is not None and frame.index == 49
    assert capture.dropped == 49
    assert capture.next() is None
    assert capture.ended
    capture.close()


def test_a_camera_that_vanishes_is_opened_again_and_the_index_grows() -> None:
    opened: list[Steered] = []

    def opener() -> Steered:
        gone = CameraVanished("unplugged") if len(opened) < 2 else None
        opened.append(Steered(gone))
        return opened[-1]

    capture = running(opener)
    frame = None
    while not capture.ended:
        frame = capture.next() or frame
    assert len(opened) == 3
    assert frame is not None and frame.index == 8
    assert capture.problem is None
    capture.close()


def test_no_picture_is_told_with_its_reason_and_never_hangs() -> None:
    def opener() -> Steered:
        raise UndecodableSource("nothing to see")

    capture = running(opener, retry_s=WAIT_S)
    assert capture.next(timeout_s=0.2) is None
    assert not capture.ended
    problem = capture.problem
    assert problem is not None and problem.reason == "SOURCE_UNDECODABLE"
    capture.close()
    assert capture.ended


def test_a_silent_camera_is_no_picture() -> None:
    source = Silent()
    capture = running(lambda: source)
    assert capture.next(timeout_s=0.05) is None
    assert not capture.ended
    capture.close()
    assert source.closed.is_set() and capture.ended


def test_closing_before_starting_does_not_hang() -> None:
    capture = Capture(Silent)
    capture.close()
    assert capture.next() is None
