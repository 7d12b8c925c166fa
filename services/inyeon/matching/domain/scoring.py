"""What a meeting is worth: one number for both people, never a product of two opinions.

score = MEETING + INTERESTS * similarity + LANGUAGE * quality + WAITING * credit, in (0, 2], with
the weights of a version of `score_models`, here of the first one. Other versions may add what
recent conversations say (tasting.py).

MEETING is what it is worth that two people meet at all; with it a wave prefers two good pairs to
one excellent pair. similarity is max(0, cosine), 0 where the spaces differ. quality is the best
common level / 5, or TRANSLATED where the conversation is translated. credit is the mean of both
waiting times, each capped, over the cap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.languages import MAX_LEVEL
from inyeon.matching.domain.lengths import LengthModel
from inyeon.matching.domain.score_models import LINEAR_1, ScoreModel, Term
from inyeon.matching.domain.tasting import Curve, curve_of

SCORE_VERSION = LINEAR_1.version
MEETING = LINEAR_1.meeting
INTERESTS, LANGUAGE, WAITING = (
    LINEAR_1.weight(term) for term in (Term.INTERESTS, Term.LANGUAGE, Term.WAITING)
)
TRANSLATED = 0.4
"""A translated conversation counts like level 2 of 5: it works, with effort."""
RARITY = 0.25
"""Each pair's weight, not its score, rises by up to so much where few people fit: who is hard to
match goes first. An early partner for them costs easy people next to nothing (arXiv 1606.03626).
"""
RARE = 20
"""People with so many fitting ones are not rare at all."""
MAX_SCORE = LINEAR_1.max_score
MOST_STEPS = 65_000
"""Weights are compared as whole numbers, for the last bits of a float differ between machines. No
weight has more steps, so that they are sorted as numbers of 16 bits."""


class Worth(NamedTuple):
    """The parts of a score for compiled loops."""

    meeting: np.float32
    interests: np.float32
    waiting: np.float32
    quality: NDArray[np.float32]
    """(levels + 1,) what a common level is worth; 0: translated."""
    steps: np.float32
    """Steps of one unit of score, a whole number."""
    session: np.float32
    length: np.float32
    """0 where no length model is there."""
    curve: Curve


def worth(model: ScoreModel, lengths: LengthModel | None = None) -> Worth:
    """What a version of the score says. A session that nobody knows counts 0.5, which says nothing,
    and a length that no model predicts 0: both alike for all pairs."""
    levels = [TRANSLATED, *(level / MAX_LEVEL for level in range(1, MAX_LEVEL + 1))]
    return Worth(
        np.float32(model.meeting),
        np.float32(model.weight(Term.INTERESTS)),
        np.float32(model.weight(Term.WAITING)),
        np.array(levels, np.float32) * np.float32(model.weight(Term.LANGUAGE)),
        np.float32(int(MOST_STEPS / (model.max_score + RARITY))),
        np.float32(model.weight(Term.SESSION)),
        np.float32(0.0 if lengths is None else model.weight(Term.LENGTH)),
        curve_of(lengths),
    )


def rarity_steps(fitting: NDArray[np.int32], steps: float) -> NDArray[np.int32]:
    """(n,) what each person adds to the weight of their pairs, in steps of a unit."""
    rare = np.maximum(RARE - fitting, 0)
    return (rare * int(RARITY / 2 * steps) // RARE).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Patience:
    """How picky a person is, falling with their waiting time. A wish, not a gate.

    At 0 s a partner must have similarity >= `start`, after `relaxed_after_s` anybody within the
    gates will do, linearly between. Both must agree, so the one who has waited less decides.
    Unrelated texts lie below 0.25 and the same hobbies across languages at 0.57 to 0.75 (sentence
    encoder, measured), so 0.4 parts them: a good pair meets at the next wave, and two people with
    nothing in common within 5 s.
    """

    start: float = 0.4
    relaxed_after_s: float = 5.0
    credit_cap_s: float = 60.0
    """Waiting beyond this raises the score no more, so that it never outweighs everything else."""


def wanted_similarity(patience: Patience, waited_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) smallest similarity that each accepts after waiting so long; 0 when anybody will do."""
    left: NDArray[np.float64] = np.maximum(1.0 - waited_s / patience.relaxed_after_s, 0.0)
    return patience.start * left
