"""How a wave explores: by its number and the experiment's seed it goes by one of several scores.

The choice is one of a few shares, so its chance is known exactly, costs nothing, and is logged with
every pair. The same wave of the same experiment always chooses alike, on every replica and in a
replay. Pairs that two scores agree on are made with the sum of both shares: `pair_chances`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from inyeon.matching.domain.refusals import Refused

Pair = tuple[int, int]
"""Two positions in the snapshot, the lower first."""

LEAST_SHARE = 0.001
"""A version with a smaller share would be met in one wave of more than a thousand and weigh a
thousandfold in every estimate."""
_MOST = 16
_TOLERANCE = 1e-9


class ExplorationRefused(Refused):
    """Shares that cannot be. `field` names the part, `reason` is a code."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a wave goes by."""

    version: str
    propensity: float
    """Chance that this wave goes by this version, in (0, 1], exact."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """Shares of waves by score version. Raises ExplorationRefused: SHARES or NAME."""

    name: str
    """Another name shuffles anew; 1 to 64 characters."""
    shares: tuple[tuple[str, float], ...]
    """(version, share), 1 to 16 different ones; shares at least 0.001 that add up to 1."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= 64:
            raise ExplorationRefused("name", "NAME", "1 to 64 characters are wanted")
        versions = [version for version, _ in self.shares]
        if not 1 <= len(versions) <= _MOST or len(set(versions)) < len(versions):
            raise ExplorationRefused("shares", "SHARES", f"1 to {_MOST} different versions")
        for version, share in self.shares:
            if not LEAST_SHARE <= share <= 1.0:
                raise ExplorationRefused(
                    f"shares.{version}", "SHARES", f"{share} is not 0.001 to 1"
                )
        if abs(math.fsum(share for _, share in self.shares) - 1.0) > _TOLERANCE:
            raise ExplorationRefused("shares", "SHARES", "they do not add up to 1")

    def choose(self, seed: int) -> Choice:
        """For the wave of that seed (pool, epoch and number belong in it)."""
        point, reached = uniform(f"{self.name}:{seed}"), 0.0
        for version, share in self.shares:
            reached += share
            if point < reached:
                return Choice(version, share)
        return Choice(*self.shares[-1])  # the shares may add up to a bit less than the point

    def propensity(self, version: str) -> float:
        """Chance of a version; 0 for one that does not take part."""
        return dict(self.shares).get(version, 0.0)


def mostly(name: str, usual: str, others: Iterable[str], epsilon: float) -> Exploration:
    """`usual` in all waves but a share of `epsilon`, which the others divide evenly.

    Raises ExplorationRefused."""
    tried = tuple(others)
    if not tried:
        return Exploration(name, ((usual, 1.0),))
    each = epsilon / len(tried)
    return Exploration(name, ((usual, 1.0 - epsilon), *((version, each) for version in tried)))


def pair_chances(
    exploration: Exploration, pairs: Mapping[str, Iterable[Pair]]
) -> dict[Pair, float]:
    """Exact chance of each pair, given what every version would have paired on the same snapshot
    (in a replay, or by shadow passes). A version that is missing pairs nobody."""
    chances: dict[Pair, float] = {}
    for version, share in exploration.shares:
        for pair in set(pairs.get(version, ())):
            chances[pair] = chances.get(pair, 0.0) + share
    return chances


def uniform(key: str) -> float:
    """A number in [0, 1) that only the key decides: 53 bits of its SHA-256, the same everywhere."""
    return (int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 11) / 2**53
