"""Says when the models stop answering, and when they are back: a gauge, and one line each."""

from __future__ import annotations

import logging

from inyeon.inference.port import Inference
from inyeon.moderation.app.ports import JudgingMeter
from inyeon.runtime.clock import Clock

LOOK_S = 0.1  # inference knows within 0.9 s and operators shall within 1 s

_logger = logging.getLogger(__name__)


class Watching:
    """The loop that looks. While models are away nothing blocks: opinions say so, people decide."""

    def __init__(self, inference: Inference, clock: Clock, meter: JudgingMeter) -> None:
        self._inference = inference
        self._clock = clock
        self._meter = meter
        self._degraded: bool | None = None

    async def run(self) -> None:
        """Looks until cancelled."""
        while True:
            self.look()
            await self._clock.sleep(LOOK_S)

    def look(self) -> None:
        """Tells a change."""
        degraded = self._inference.degraded
        if degraded == self._degraded:
            return
        first, self._degraded = self._degraded is None, degraded
        self._meter.degraded(degraded)
        if degraded:
            _logger.warning("models do not answer: devices' verdicts stand, cases wait for people")
        elif not first:
            _logger.warning("models answer again")
