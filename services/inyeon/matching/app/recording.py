"""Recording passes: all that one went by, as changes against the last pass that is in the log."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.frames import Frame, FrameMaker, inputs_digest
from inyeon.matching.domain.replaying import engine_version, pairs_digest
from inyeon.matching.domain.score_models import LINEAR_1
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.waves import Wave, WaveRules

EPOCH_BITS = 32


def wave_number(epoch: int, wave: int) -> int:
    """Of a pass among all of its pool, whoever owned it: the epoch in the upper bits."""
    return epoch << EPOCH_BITS | wave


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What a pass was asked."""

    snapshot: Snapshot
    now: float
    """Monotonic time of the snapshot."""
    rules: WaveRules
    seed: int
    seekers: NDArray[np.int64] | None = None
    """Positions of those for whom it looked; None: for everybody."""


@dataclass(frozen=True, slots=True)
class Described:
    """A pass, ready for the log."""

    parts: tuple[bytes, ...]
    """Its inputs, encoded, in pieces that fit into records."""
    inputs: bytes
    pairs: bytes
    """Digests of what it looked at and of all pairs it decided."""
    seed: int
    engine: str


class FrameCodec(Protocol):
    """Frames as bytes."""

    def encode(self, frame: Frame, asked: Asked) -> tuple[bytes, ...]:
        """In pieces of at most 128 KiB."""
        ...


@dataclass(slots=True)
class Recorder:
    """Of one pool. After `describe` say with `settle` whether the log has it; who is silent does
    not know, and then the next frame stands alone."""

    codec: FrameCodec
    _maker: FrameMaker = field(default_factory=FrameMaker)
    _epoch: int = 0
    _rules: WaveRules | None = None
    _unsure: bool = False

    def describe(self, asked: Asked, wave: Wave, number: int) -> Described:
        """The pass `number` (epoch in the upper 32 bits). Some 2 ms with 1,000 people."""
        epoch = number >> EPOCH_BITS
        rules = replace(asked.rules, score=LINEAR_1)  # every frame holds its own score
        if self._unsure or epoch != self._epoch or rules != self._rules:
            self._maker.forget()
        self._epoch, self._rules, self._unsure = epoch, rules, True
        frame = self._maker.make(number, asked.snapshot, asked.now)
        return Described(
            self.codec.encode(frame, asked),
            inputs_digest(asked.snapshot),
            pairs_digest(wave),
            asked.seed,
            engine_version(),
        )

    def settle(self, written: bool) -> None:
        """The commit is through; `written`: with the record of the pass."""
        self._unsure = False
        if written:
            self._maker.keep()
