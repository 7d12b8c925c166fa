"""A source that changes into another, by the clock of a scenario or by a command."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from inyeon_edge.capture.source import Monotonic, Source
from inyeon_edge.frame import Frame


@dataclass(frozen=True)
class Step:
    """From this second after the start on, this source."""

    at_s: float
    spec: str


Scenario = tuple[Step, ...]
Opener = Callable[[str], Source]


class SwitchableSource:
    """Plays the steps of a scenario; `switch_to` ends the scenario and plays what it names.

    Frames keep one growing index across switches. A part that ends early is followed by nothing
    until the next step; `frames` ends where no step is left.
    """

    def __init__(self, steps: Scenario, opener: Opener, clock: Monotonic = time.monotonic) -> None:
        self._steps = list(steps)
        self._open = opener
        self._clock = clock
        self._lock = threading.Lock()  # guards the four below, which commands change
        self._start_s = clock()
        self._spec = steps[0].spec
        self._current = opener(steps[0].spec)
        self._generation = 0
        self._closed = threading.Event()
        del self._steps[0]

    @property
    def spec(self) -> str:
        """What is played now."""
        with self._lock:
            return self._spec

    def switch_to(self, spec: str) -> None:
        """Plays `spec` from now on and forgets the scenario's later steps.

        The new source is opened first: where that raises, the old one goes on.
        """
        self._swap(spec, self._open(spec))
        with self._lock:
            self._steps.clear()

    def frames(self) -> Iterator[Frame]:
        """As Source; the index runs on over every switch."""
        index = 0
        while not self._closed.is_set():
            with self._lock:
                source, generation = self._current, self._generation
            for frame in source.frames():
                yield Frame(frame.image, index, frame.captured_s)
                index += 1
                self._follow_scenario()
                if self._closed.is_set() or self._generation != generation:
                    break
            if self._generation == generation and not self._wait_for_step():
                return

    def close(self) -> None:
        """As Source."""
        self._closed.set()
        with self._lock:
            self._current.close()

    def _follow_scenario(self) -> None:
        with self._lock:
            due = bool(self._steps) and self._clock() - self._start_s >= self._steps[0].at_s
            step = self._steps.pop(0) if due else None
        if step is not None:
            self._swap(step.spec, self._open(step.spec))

    def _wait_for_step(self) -> bool:
        # The part is over: waits in slices for a step, so that close and switch_to are heard.
        generation = self._generation
        while not self._closed.is_set() and self._generation == generation:
            if not self._steps:
                return False
            self._closed.wait(0.02)
            self._follow_scenario()
        return not self._closed.is_set()

    def _swap(self, spec: str, source: Source) -> None:
        with self._lock:
            old, self._current, self._spec = self._current, source, spec
            self._generation += 1
            closed = self._closed.is_set()
        old.close()
        if closed:
            source.close()
