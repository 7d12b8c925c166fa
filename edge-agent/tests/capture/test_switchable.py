from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from inyeon_edge.capture.source import Source
from inyeon_edge.capture.switchable import Scenario, Step, SwitchableSource
from inyeon_edge.errors import UnknownSource
from inyeon_edge.frame import Frame

pytestmark = pytest.mark.unit

BY_NAME = {"one": 10, "two": 20, "three": 30}


class ManualClock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Plain:
    """Gives one value for ever, or `count` times."""

    def __init__(self, value: int, count: int | None = None) -> None:
        self._value, self._left = value, count
        self.closed = threading.Event()

    def frames(self) -> Iterator[Frame]:
        index = 0
        while not self.closed.is_set() and index != self._left:
            yield Frame(np.full((2, 2, 3), self._value, np.uint8), index, 0.0)
            index += 1

    def close(self) -> None:
        self.closed.set()


class Opened:
    """Remembers what was opened."""

    def __init__(self, count: int | None = None) -> None:
        self.sources: list[Plain] = []
        self._count = count

    def __call__(self, spec: str) -> Source:
        if spec not in BY_NAME:
            raise UnknownSource(spec, field=spec)
        self.sources.append(Plain(BY_NAME[spec], self._count))
        return self.sources[-1]


def start(steps: Scenario, opened: Opened) -> tuple[SwitchableSource, ManualClock]:
    clock = ManualClock()
    return SwitchableSource(steps, opened, clock), clock


def value(frame: Frame) -> int:
    return int(frame.image[0, 0, 0])


def test_steps_come_at_their_seconds_with_one_index() -> None:
    opened = Opened()
    source, clock = start((Step(0, "one"), Step(5, "two"), Step(9, "three")), opened)
    shown = []
    for frame in source.frames():
        shown.append((frame.index, value(frame)))
        clock.now_s += 1
        if len(shown) == 12:
            source.close()
    assert [index for index, _ in shown] == list(range(12))
    values = [v for _, v in shown]
    assert values == sorted(values) and set(values) == {10, 20, 30}
    assert values.index(20) in (5, 6)
    assert all(part.closed.is_set() for part in opened.sources)


def test_a_command_switches_and_ends_the_scenario() -> None:
    source, clock = start((Step(0, "one"), Step(5, "two")), Opened())
    frames = source.frames()
    assert value(next(frames)) == 10
    source.switch_to("three")
    assert source.spec == "three"
    clock.now_s = 60
    later = [value(next(frames)) for _ in range(4)]
    assert later[-3:] == [30, 30, 30]
    source.close()


def test_a_command_that_cannot_be_followed_changes_nothing() -> None:
    source, _ = start((Step(0, "one"),), Opened())
    with pytest.raises(UnknownSource):
        source.switch_to("castle")
    frames = source.frames()
    assert [value(next(frames)) for _ in range(3)] == [10, 10, 10]
    source.close()


def test_a_part_that_ends_early_waits_for_the_next_step() -> None:
    class Jumping(ManualClock):
        def __call__(self) -> float:
            self.now_s += 0.5
            return self.now_s

    source = SwitchableSource((Step(0, "one"), Step(8, "two")), Opened(count=2), Jumping())
    assert [value(frame) for frame in source.frames()] == [10, 10, 20, 20]


def test_switching_from_another_thread_while_frames_are_read() -> None:
    source, _ = start((Step(0, "one"),), Opened())
    seen: set[int] = set()
    switched = threading.Event()

    def switch() -> None:
        source.switch_to("two")
        switched.set()

    thread = threading.Thread(target=switch)
    for frame in source.frames():
        seen.add(value(frame))
        if frame.index == 3:
            thread.start()
        if 20 in seen or frame.index > 2_000_000:
            source.close()
    thread.join(5)
    assert switched.is_set() and seen == {10, 20}
