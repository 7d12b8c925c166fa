"""The picture as sent, kept in a file (H.264 or MPEG-4 in MP4)."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from inyeon_edge.errors import OutputError
from inyeon_edge.frame import Image, fit

TICKS = 1000  # time base in ms: frames may come at any time


class FileOutput:
    """Writes an MP4. The first picture fixes the size; sides are cut to even numbers."""

    def __init__(self, path: Path, fps: float = 15.0) -> None:
        self._path = path
        self._fps = fps
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._start_s = 0.0
        self._last = -1
        self._closed = False

    def show(self, image: Image, at_s: float) -> None:
        """Encodes one picture; raises OutputError where the file is closed or unwritable."""
        if self._closed:
            raise OutputError(f"{self._path.name} is closed", field="path")
        try:
            self._write(image, at_s)
        except (av.FFmpegError, OSError) as error:
            raise OutputError(f"{self._path}: {error}", field="path") from error

    def close(self) -> None:
        """Writes what the encoder still holds, and the index."""
        if self._closed or self._container is None or self._stream is None:
            self._closed = True
            return
        self._closed = True
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def _write(self, image: Image, at_s: float) -> None:
        if self._container is None or self._stream is None:
            self._container, self._stream = self._open(image)
            self._start_s = at_s
        # A clock that stands or jumps back still gives growing times, or the muxer refuses.
        self._last = max(self._last + 1, round((at_s - self._start_s) * TICKS))
        sized = fit(image, self._stream.width, self._stream.height)
        frame = av.VideoFrame.from_ndarray(sized, format="rgb24")
        frame.pts, frame.time_base = self._last, Fraction(1, TICKS)
        self._container.mux(self._stream.encode(frame))

    def _open(self, image: Image) -> tuple[OutputContainer, VideoStream]:
        container = av.open(str(self._path), "w", format="mp4")
        stream = container.add_stream("mpeg4", rate=Fraction(self._fps).limit_denominator(1000))
        stream.width, stream.height = (max(2, side // 2 * 2) for side in image.shape[1::-1])
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = (
            1_000_000  # ample for 640x480 at 15 fps; a record for tests, not for keeps
        )
        stream.codec_context.time_base = Fraction(1, TICKS)
        stream.codec_context.thread_count = 1
        return container, stream
