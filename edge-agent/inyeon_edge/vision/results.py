"""What vision says about a picture."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from inyeon_edge.frame import Image

CLASSES = ("Drawing", "Hentai", "Neutral", "Porn", "Sexy")
"""Order of the filter's outputs, as NSFWJS publishes them and FilterScores carries them."""


class Presence(enum.Enum):
    """Is a person there, fused over time; values end the contract's PresenceState names."""

    UNKNOWN = "UNSPECIFIED"
    ALONE = "ALONE"
    SEVERAL = "SEVERAL"
    AWAY = "AWAY"
    NO_PICTURE = "NO_PICTURE"


@dataclass(frozen=True)
class Quality:
    """How usable the picture is."""

    brightness: float
    """Mean luma, [0, 1]."""
    sharpness: float
    """Variance of the Laplacian of the luma at 160 pixels width, >= 0."""
    motion_db: float = 0.0
    """PSNR against the picture before, dB; high means nothing moves; 0 for the first."""


@dataclass(frozen=True)
class Scored:
    """One pass of the filter over one picture."""

    scores: tuple[float, ...]
    """Probabilities in the order of CLASSES, each in [0, 1]."""
    embedding: bytes | None
    """Content embedding from the same pass: 64 dimensions INT8_SCALED, 68 bytes."""
    phash: bytes
    """64-bit perceptual hash, smallest of the eight dihedral forms, 8 bytes big-endian."""
    at_s: float
    """Monotonic time of the picture."""

    def by_class(self) -> dict[str, float]:
        """Probability by class name."""
        return dict(zip(CLASSES, self.scores, strict=True))


@dataclass(frozen=True, eq=False)
class ViewResult:
    """One frame after vision and effects."""

    image: Image
    """The picture as sent: (H, W, 3) uint8 RGB, the captured frame's size."""
    index: int
    captured_s: float
    presence: Presence
    person: bool
    """A person was seen at the latest look, before smoothing."""
    person_share: float
    """Share of the picture that the mask gives to a person, [0, 1]; 0 without a mask."""
    scored: Scored | None
    """Filter scores, embedding and hash where this frame was scored (2/s), otherwise None."""
    quality: Quality
    blurred: bool
    """The background was blurred."""
    covered: bool
    """Nothing of the picture can be recognised: a card is sent."""
    cover_reason: str
    """CALLER, LOCAL_<CLASS>, EFFECT_FAILED, FILTER_FAILED or NOBODY; empty if not covered."""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    """Wall time per step: segment, presence, effects, filter, total."""
