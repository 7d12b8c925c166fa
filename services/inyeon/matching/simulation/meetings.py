"""How a SIMULATED meeting goes: answered or skipped, liked by both or not, and how long it takes.

The level of each share comes from data (reciprocity of first messages, both sides' wish to meet
again); that likeness raises it is an assumption with one number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inyeon.matching.simulation.calibration import Calibration
from inyeon.matching.simulation.chance import exponential, logit, normal, share_of, uniform
from inyeon.matching.simulation.crowd import Visitor
from inyeon.matching.simulation.judging import similarity

LIKING_SLOPE = 2.2
"""Log-odds for each unit of similarity. Assumed: choosing by likeness took success from 23 to 42 %
(RECON, RecSys 2010), 0.89 in log-odds, over the 0.4 between unrelated texts (0.25) and the same
hobby (0.65).
"""
SKIP_S = 8.0
"""Mean length of a meeting that one side skips; assumed."""
LONGEST_S = 7200.0
SAMPLE = 2000


@dataclass(frozen=True, slots=True)
class Meeting:
    """How it went."""

    answered: bool
    mutual: bool
    """Both would meet again."""
    length_s: float
    blocked: bool


class Meetings:
    """Decides meetings: by seed and people alone, so that a pair fares alike under every policy."""

    def __init__(
        self, crowd: Sequence[Visitor], data: Calibration, blocks: float, seed: int
    ) -> None:
        self._data, self._blocks, self._seed = data, blocks, seed
        self.usual_similarity = _usual_similarity(crowd, seed)

    def hold(self, one: int, other: int, likeness: float, again: int) -> Meeting:
        """The `again`-th meeting of these two, by their numbers in the crowd."""
        low, high = sorted((one, other))
        asked = (self._seed, low, high, again)
        lift = LIKING_SLOPE * (likeness - self.usual_similarity)
        answered = uniform(*asked, "answer") < share_of(logit(self._data.answered) + lift)
        rest = min(self._data.mutual / self._data.answered, 0.99)
        mutual = answered and uniform(*asked, "like") < share_of(logit(rest) + lift)
        blocked = not mutual and uniform(*asked, "block") < self._blocks
        return Meeting(answered, mutual, self._length_s(answered, asked), blocked)

    def _length_s(self, answered: bool, asked: tuple[int, ...]) -> float:
        if not answered:
            return SKIP_S * exponential(*asked, "skip")
        drawn = self._data.talk_log_mean + self._data.talk_log_sd * normal(*asked, "length")
        return min(math.exp(drawn), LONGEST_S)


def _usual_similarity(crowd: Sequence[Visitor], seed: int) -> float:
    """Mean over random pairs: there the shares of the data hold."""
    count = len(crowd)
    if count < 2:
        return 0.0
    pairs = (
        (int(uniform(seed, k, "one") * count), int(uniform(seed, k, "other") * count))
        for k in range(SAMPLE)
    )
    found = [similarity(crowd[a].wish, crowd[b].wish) for a, b in pairs if a != b]
    return sum(found) / len(found)
