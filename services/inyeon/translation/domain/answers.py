"""What a translation is: who made it, how good it may be, and whether it is one at all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Tier(Enum):
    """Who translated, from the cheapest to the dearest."""

    NONE = 1
    PHRASEBOOK = 2
    MEMORY = 3
    APERTIUM = 4
    CTRANSLATE2 = 5
    TRITON = 6
    VENDOR = 7


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    """What an engine gave for one protected sentence. Not yet through the gate."""

    text: str
    quality: float
    """Estimate in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Translation:
    """What is shown. `text` is never empty for a text that was not empty."""

    text: str
    source: str
    """Language found, or empty where there is none."""
    target: str
    tier: Tier
    quality: float
    """Estimate in [0, 1]; 0 where untranslated."""
    untranslated: bool = False
    """The text is the original: no tier could translate it."""
