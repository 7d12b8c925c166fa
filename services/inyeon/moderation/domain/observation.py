"""What a device says it saw in a stretch of time. Already checked: every number is finite and in
its range."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

CLASSES = ("Drawing", "Hentai", "Neutral", "Porn", "Sexy")
"""Order of the filter's scores, as NSFWJS and safety.proto have it."""


class Subject(Enum):
    """Whose picture."""

    MYSELF = "myself"
    PARTNER = "partner"


class Presence(Enum):
    """Is a person there, fused over time on the device."""

    UNKNOWN = "unknown"
    ALONE = "alone"
    SEVERAL = "several"
    AWAY = "away"
    NO_PICTURE = "no picture"


PRESENT = frozenset({Presence.ALONE, Presence.SEVERAL})
"""States in which somebody is there."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Filter scores of a window; `mean` and `peak` are (5,) in [0, 1], in the order of CLASSES."""

    model: str
    version: str
    frames: int
    """Frames scored, at least 1."""
    mean: tuple[float, ...]
    peak: tuple[float, ...]

    def plausible(self) -> bool:
        """The means are a distribution, as means of softmax outputs are: sum 1 within 0.05 (float32
        and rounding need less than 0.01). Others may accuse, never clear: all zeros would otherwise
        look perfectly quiet."""
        return abs(sum(self.mean) - 1.0) <= 0.05


@dataclass(frozen=True, slots=True)
class Embedding:
    """Content embedding of the last scored frame, INT8_SCALED: a float32 scale, then a signed byte
    for each dimension (a device's has 64, so 68 bytes)."""

    model: str
    version: str
    data: bytes

    @property
    def space(self) -> tuple[str, str]:
        """(model, version): what may be compared."""
        return self.model, self.version

    @property
    def dims(self) -> int:
        """Dimensions, by the length of the data."""
        return len(self.data) - 4


@dataclass(frozen=True, slots=True)
class Window:
    """One window of observations. The device's clock is not in here on purpose: nothing is judged
    by it."""

    window_id: int
    """Sequence in the observation session that sent it."""
    subject: Subject
    duration_s: float
    """Above 0, at most 60."""
    presence: Presence
    scores: Scores | None
    """None where no frame could be scored."""
    covered: bool = False
    """The device covers this picture; its scores are then of the picture under the cover."""
    match_id: str = ""
    embedding: Embedding | None = None
