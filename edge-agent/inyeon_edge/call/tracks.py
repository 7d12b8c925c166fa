"""The two ends of the picture in WebRTC: the track that is sent and the one that is received."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from inyeon_edge.call.frames import FPS, ChangeMeter, MediaCounts, OutgoingFrames
from inyeon_edge.frame import Image
from inyeon_edge.uplink.clock import Clock

RTP_CLOCK_HZ = 90_000  # RFC 7741: VP8 counts in 90 kHz


class AsSentTrack(MediaStreamTrack):
    """Sends the newest frame after effects, `fps` times a second."""

    kind = "video"

    def __init__(
        self, frames: OutgoingFrames, counts: MediaCounts, clock: Clock, fps: int = FPS
    ) -> None:
        super().__init__()
        self._frames, self._counts, self._clock, self._fps = frames, counts, clock, fps
        self._begun_s = -1.0
        self._index = 0

    async def recv(self) -> VideoFrame:
        """The next frame at its time; raises MediaStreamError once the track is stopped."""
        if self.readyState != "live":
            raise MediaStreamError
        now_s = self._clock.monotonic()
        if self._begun_s < 0:
            self._begun_s = now_s
        # A late sender skips frames instead of hurrying after them.
        self._index = max(self._index + 1, int((now_s - self._begun_s) * self._fps))
        await self._clock.sleep(max(0.0, self._begun_s + self._index / self._fps - now_s))
        image = self._frames.newest(self._clock.monotonic())
        frame = VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = self._index * RTP_CLOCK_HZ // self._fps
        frame.time_base = Fraction(1, RTP_CLOCK_HZ)
        self._counts.sent += 1
        return frame


async def receive(
    track: MediaStreamTrack, counts: MediaCounts, show: Callable[[Image], None]
) -> None:
    """Decodes the partner's track until it ends and hands every picture, (H, W, 3) RGB, to
    `show`."""
    meter = ChangeMeter()
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        if not isinstance(frame, VideoFrame):
            continue
        image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        counts.decoded += 1
        counts.changed += meter.is_changed(image)
        show(image)
        await asyncio.sleep(0)
