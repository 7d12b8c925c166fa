"""Frames of a video file, decoded by PyAV."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import av

from inyeon_edge.capture.source import Pace
from inyeon_edge.errors import CameraVanished, UndecodableSource
from inyeon_edge.frame import Frame, Image, as_rgb


class VideoSource:
    """A video file, once or for ever. `fps` thins by time; None gives every frame, unpaced."""

    def __init__(self, path: Path, fps: float | None, loop: bool) -> None:
        self._path = path
        self._fps = fps
        self._loop = loop
        self._pace = Pace(fps)
        if not path.is_file():
            raise UndecodableSource(f"{path} is no file", field=str(path))

    def frames(self) -> Iterator[Frame]:
        """As Source. A file that vanishes between two rounds raises CameraVanished."""
        index = 0
        while not self._pace.closed:
            before = index
            for image in self._round(first=index == 0):
                if not self._pace.wait():
                    return
                yield Frame(image, index, time.monotonic())
                index += 1
            if index == before:
                raise UndecodableSource(f"{self._path.name} holds no picture", field="source")
            if not self._loop:
                return

    def close(self) -> None:
        """As Source."""
        self._pace.close()

    def _round(self, first: bool) -> Iterator[Image]:
        try:
            with av.open(str(self._path)) as container:
                if not container.streams.video:
                    raise UndecodableSource(f"{self._path.name} has no video", field="source")
                stream = container.streams.video[0]
                stream.thread_count = 1  # three agents share two cores
                yield from self._thinned(container.decode(stream), float(stream.average_rate or 0))
        except FileNotFoundError as error:
            raise CameraVanished(f"{self._path} is gone", field="source") from error
        except (av.FFmpegError, OSError) as error:
            kind = UndecodableSource if first else CameraVanished
            raise kind(f"{self._path.name}: {error}", field="source") from error

    def _thinned(self, decoded: Iterator[av.VideoFrame], rate: float) -> Iterator[Image]:
        # Of a 30 fps file read at 15 fps every second picture is left out, so that time runs true.
        step = max(1.0, rate / self._fps) if self._fps and rate else 1.0
        wanted = 0.0
        for number, frame in enumerate(decoded):
            if number + 1e-6 >= wanted:
                wanted += step
                yield as_rgb(frame.to_ndarray(format="rgb24"))
