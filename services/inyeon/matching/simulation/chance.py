"""Chance that depends on what is asked alone, so that every policy meets the same luck."""

from __future__ import annotations

import math
from hashlib import blake2b

SPAN = 1 << 53


def uniform(seed: int, *asked: object) -> float:
    """In [0, 1), always the same for the same seed and question."""
    question = "/".join(map(str, (seed, *asked))).encode()
    return (int.from_bytes(blake2b(question, digest_size=8).digest(), "big") >> 11) / SPAN


def exponential(seed: int, *asked: object) -> float:
    """Mean 1."""
    return -math.log1p(-uniform(seed, *asked))


def normal(seed: int, *asked: object) -> float:
    """Mean 0, deviation 1 (Box and Muller)."""
    radius = math.sqrt(2 * exponential(seed, *asked, "radius"))
    return radius * math.cos(2 * math.pi * uniform(seed, *asked, "angle"))


def logit(share: float) -> float:
    """Logarithm of the odds."""
    return math.log(share / (1 - share))


def share_of(odds: float) -> float:
    """The other way round."""
    return 1 / (1 + math.exp(-odds))
