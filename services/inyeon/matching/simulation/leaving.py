"""When people stop waiting for somebody: the hazard of leaving by the time waited, from messages.

Whoever opens a conversation waits for the answer. They leave when they open one with somebody else
before it comes; an answer, or half an hour, ends the watching. Times of leaving are fitted by a
Weibull distribution (maximum likelihood with right-censored times): a shape below 1 says that who
has waited long is less likely to leave in the next second than who has just come.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

WATCHED_S = 1800
STEPS = 60
"""Halvings of the interval [0.05, 5] in which the shape lies."""


def leaving(messages: NDArray[np.int64], digits: int = 4) -> dict[str, object]:
    """Of (n, 3) source, target, time, by rising time. Where nobody left there is no shape."""
    left, watched = waits_of(messages)
    counts: dict[str, object] = {"openings": len(left) + len(watched), "left": len(left)}
    if not len(left):
        return counts
    shape, scale_s = weibull(left, watched)
    return {**counts, "shape": round(shape, digits), "scale_s": round(scale_s, 1)}


def waits_of(messages: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds until people left, and seconds that the others were watched; at least 1 each."""
    first: dict[tuple[int, int], int] = {}
    seen: dict[int, list[tuple[int, bool, int]]] = defaultdict(list)
    for source, target, at in messages.tolist():
        if (source, target) not in first and (target, source) not in first:
            first[source, target] = at
            seen[source].append((at, True, target))
        seen[target].append((at, False, source))
    left: list[float] = []
    watched: list[float] = []
    for (source, target), at in first.items():
        waited_s, leaves = _wait(seen[source], at, target)
        (left if leaves else watched).append(max(float(waited_s), 1.0))
    return np.array(left), np.array(watched)


def _wait(events: list[tuple[int, bool, int]], since: int, target: int) -> tuple[int, bool]:
    """How long one opening was waited on, and whether its author opened another one then."""
    later = (event for event in events if since <= event[0] <= since + WATCHED_S)
    for at, opens, other in later:
        if opens != (other == target):  # another opening, or the answer
            return at - since, opens
    return WATCHED_S, False


def weibull(left: NDArray[np.float64], watched: NDArray[np.float64]) -> tuple[float, float]:
    """Shape and scale in seconds. The likelihood's derivative by the shape rises, so its root is
    found by halving."""
    every = np.concatenate([left, watched])
    logs, mean_log = np.log(every), float(np.log(left).mean())
    low, high = 0.05, 5.0
    for _ in range(STEPS):
        shape = (low + high) / 2
        powers = every**shape
        rising = float((powers * logs).sum() / powers.sum()) - 1 / shape - mean_log
        low, high = (low, shape) if rising > 0 else (shape, high)
    return shape, float(((every**shape).sum() / len(left)) ** (1 / shape))
