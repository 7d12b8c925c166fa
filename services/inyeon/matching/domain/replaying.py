"""Doing recorded passes again: the same events, rules and seed give the same pairs."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from hashlib import blake2b
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.courses import Shares
from inyeon.matching.domain.frames import BaseMissing, Frame, Rebuilder, inputs_digest
from inyeon.matching.domain.scoring import SCORE_VERSION
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.waves import Wave, WaveRules, decide

TicketPair = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """A pass as it was recorded."""

    pool: str
    wave: int
    """Epoch of the pool in the upper 32 bits, number of the pass below."""
    engine: str
    frame: Frame
    inputs: bytes
    """`inputs_digest` of what it looked at."""
    rules: WaveRules
    seed: int
    seekers: NDArray[np.int64] | None
    pairs: tuple[TicketPair, ...]
    """Every pair it decided, those included that the book left out."""
    digest: bytes
    """`pairs_digest` of these, with their scores."""
    matches: Mapping[TicketPair, str] = field(default_factory=dict)
    """Match of each pair that was committed."""
    shares: Shares = ()
    """Every version that it might have gone by, with its chance; empty: it did not explore."""
    chances: Mapping[TicketPair, float] = field(default_factory=dict)
    """Exact chance of each of these pairs where it is logged."""
    experiment: str = ""
    """Whose arm it was."""


class Fate(Enum):
    """What doing it again gave."""

    SAME = "same"
    PAIRS_DIFFER = "pairs differ"
    INPUTS_DIFFER = "inputs differ"
    """The record does not give back what the pass looked at: a fault of the recording."""
    OTHER_ENGINE = "other engine"
    """Decided by another version of the engine: not comparable."""
    BASE_MISSING = "base missing"
    """Its record builds on one that was not read: before the first key frame, or lost."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One pass, done again."""

    pool: str
    wave: int
    fate: Fate
    people: int
    pairs: int
    first_difference: str = ""


@dataclass(slots=True)
class Replayer:
    """Takes decisions of many pools, those of each pool in their order."""

    any_engine: bool = False
    """Also compares passes of another engine: shows what a change of the engine would change."""
    _pools: dict[str, Rebuilder] = field(default_factory=dict)

    def take(self, recorded: Decision) -> Replayed:
        """Does a pass again and compares."""
        rebuilder = self._pools.setdefault(recorded.pool, Rebuilder())
        try:
            snapshot = rebuilder.take(recorded.wave, recorded.frame)
        except BaseMissing as error:
            return _replayed(recorded, Fate.BASE_MISSING, 0, str(error))
        if recorded.engine != engine_version() and not self.any_engine:
            return _replayed(recorded, Fate.OTHER_ENGINE, len(snapshot), recorded.engine)
        if inputs_digest(snapshot) != recorded.inputs:
            return _replayed(recorded, Fate.INPUTS_DIFFER, len(snapshot), "inputs")
        wave = _again(recorded, snapshot)
        if pairs_digest(wave) == recorded.digest:
            return _replayed(recorded, Fate.SAME, len(snapshot))
        difference = _difference(recorded.pairs, ticket_pairs(wave))
        return _replayed(recorded, Fate.PAIRS_DIFFER, len(snapshot), difference)


@cache
def engine_version() -> str:
    """Version of the score and a digest of the domain's source: any change is another engine."""
    digest = blake2b(digest_size=6)
    folder = files(__package__)
    for one in sorted(folder.iterdir(), key=lambda path: path.name):
        if one.name.endswith(".py"):
            digest.update(one.read_bytes())
    return f"{SCORE_VERSION}/{digest.hexdigest()}"


def ticket_pairs(wave: Wave) -> tuple[TicketPair, ...]:
    """Pairs by ticket, by rising first position."""
    tickets = wave.snapshot.tickets
    return tuple(
        (tickets[pair.one].ticket_id, tickets[pair.other].ticket_id) for pair in wave.pairs
    )


def pairs_digest(wave: Wave) -> bytes:
    """16 bytes over pairs and scores, to the last bit."""
    digest = blake2b(digest_size=16)
    for (one, other), pair in zip(ticket_pairs(wave), wave.pairs, strict=True):
        digest.update(f"{one}\0{other}\0".encode() + struct.pack("<d", pair.score))
    return digest.digest()


def _again(recorded: Decision, snapshot: Snapshot) -> Wave:
    return decide(snapshot, recorded.rules, recorded.seed, recorded.seekers)


def _difference(before: tuple[TicketPair, ...], now: tuple[TicketPair, ...]) -> str:
    for number, (one, other) in enumerate(zip(before, now, strict=False)):
        if one != other:
            return f"pair {number}: {one[0]} with {one[1]}, now {other[0]} with {other[1]}"
    if len(before) != len(now):
        return f"pair {min(len(before), len(now))}: {len(before)} pairs, now {len(now)}"
    return "scores of the same pairs"


def _replayed(recorded: Decision, fate: Fate, people: int, difference: str = "") -> Replayed:
    return Replayed(recorded.pool, recorded.wave, fate, people, len(recorded.pairs), difference)
