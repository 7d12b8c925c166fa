"""From the text of a setting to a source."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from inyeon_edge.capture.drawing import DrawnSource
from inyeon_edge.capture.picture import PictureSource
from inyeon_edge.capture.source import Source
from inyeon_edge.capture.switchable import Opener, Scenario, Step, SwitchableSource
from inyeon_edge.capture.video import VideoSource
from inyeon_edge.drawn import DRAWINGS
from inyeon_edge.errors import UnknownSource

DRAWN = "drawn:"
SCENARIO = "scenario:"
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})


def open_source(spec: str, fps: float | None = 15.0, loop: bool = True) -> Source:
    """The source that `spec` names.

    `drawn:NAME` (empty-room, cartoon), a picture file, a video file, or
    `scenario:SPEC@SECOND,SPEC@SECOND,...` which switches at these seconds after its start.
    fps None is as fast as the reader asks. Raises UnknownSource, and UndecodableSource where the
    file is absent or is no picture.
    """
    if spec.startswith(SCENARIO):
        return SwitchableSource(parse_scenario(spec), opener(fps, loop))
    return open_one(spec, fps, loop)


def open_switchable(spec: str, fps: float | None = 15.0, loop: bool = True) -> SwitchableSource:
    """Any spec as a source that can be switched at run time."""
    steps = parse_scenario(spec) if spec.startswith(SCENARIO) else (Step(0.0, spec),)
    return SwitchableSource(steps, opener(fps, loop))


def opener(fps: float | None, loop: bool) -> Opener:
    """What a scenario opens its parts with."""
    return lambda spec: open_one(spec, fps, loop)


def open_one(spec: str, fps: float | None, loop: bool) -> Source:
    """A drawing, a picture or a video; no scenario."""
    if spec.startswith(DRAWN):
        return _drawing(spec, fps, loop)
    if not spec or spec.startswith(SCENARIO):
        raise UnknownSource(f"no source is named {spec!r}", field=spec)
    path = Path(spec)
    if path.suffix.lower() in PICTURES:
        return PictureSource(path, fps, loop)
    return VideoSource(path, fps, loop)


def parse_scenario(spec: str) -> Scenario:
    """Steps of `scenario:SPEC@SECOND,...`, from 0, seconds growing; raises UnknownSource."""
    parts = spec.removeprefix(SCENARIO).split(",")
    steps = tuple(_step(part, spec) for part in parts)
    seconds = [step.at_s for step in steps]
    if seconds[0] != 0 or any(b <= a for a, b in pairwise(seconds)):
        raise UnknownSource(f"seconds must start at 0 and grow: {spec}", field=spec)
    return steps


def _step(part: str, spec: str) -> Step:
    name, mark, second = part.rpartition("@")
    if not mark or not name or not second.replace(".", "", 1).isdecimal():
        raise UnknownSource(f"a step is SPEC@SECOND, not {part!r}", field=spec)
    return Step(float(second), name)


def _drawing(spec: str, fps: float | None, loop: bool) -> Source:
    name = spec.removeprefix(DRAWN)
    if name not in DRAWINGS:
        raise UnknownSource(f"drawings are {', '.join(DRAWINGS)}, not {name!r}", field=spec)
    return DrawnSource(DRAWINGS[name](), fps, loop)
