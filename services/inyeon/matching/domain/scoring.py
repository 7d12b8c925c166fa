"""What a meeting is worth: one number for both people, never a product of two opinions.

score = MEETING + INTERESTS * similarity + LANGUAGE * quality + WAITING * credit, in (0, 2].

MEETING is what it is worth that two people meet at all; with it a wave prefers two good pairs to
one excellent pair. similarity is max(0, cosine), 0 where the spaces differ. quality is the best
common level / 5, or TRANSLATED where the conversation is translated. credit is the mean of both
waiting times, each capped, over the cap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SCORE_VERSION = "linear-1"
MEETING = 0.5
INTERESTS = 1.0
LANGUAGE = 0.25
TRANSLATED = 0.4
"""A translated conversation counts like level 2 of 5: it works, with effort."""
WAITING = 0.25
MAX_SCORE = MEETING + INTERESTS + LANGUAGE + WAITING
SCORE_STEPS = 65_535
"""Scores are compared in steps of MAX_SCORE / 65,535 = 0.00003: the last bits of a float differ
between machines.
"""


@dataclass(frozen=True, slots=True)
class Patience:
    """How picky a person is, falling with their waiting time. A wish, not a gate.

    At 0 s a partner must have similarity >= `start`, after `relaxed_after_s` anybody within the
    gates will do, linearly between. Both must agree, so the one who has waited less decides.
    Unrelated texts lie below 0.25 and the same hobbies across languages at 0.57 to 0.75 (sentence
    encoder, measured), so 0.4 parts them; at one wave a second a good pair meets at the next wave,
    and two people with nothing in common within 20 s.
    """

    start: float = 0.4
    relaxed_after_s: float = 20.0
    credit_cap_s: float = 60.0
    """Waiting beyond this raises the score no more, so that it never outweighs everything else."""


def wanted_similarity(patience: Patience, waited_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) smallest similarity that each accepts after waiting so long; 0 when anybody will do."""
    left: NDArray[np.float64] = np.maximum(1.0 - waited_s / patience.relaxed_after_s, 0.0)
    return patience.start * left
