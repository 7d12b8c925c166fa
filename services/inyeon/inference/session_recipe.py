"""The session encoder's arithmetic: what somebody's last conversations say about their taste.

One file for both places: this process runs it, and `export` lays a copy beside the Triton model, so
nothing of ours is imported here. The rule is matching's `domain/session_vectors.py`, which says why
each number is what it is; a test holds the two together. This is the same rule over many people at
once, one step a conversation.

A state is a row of dims + 4 numbers: `total` (dims), `counted`, `talks`, `logs` and `at`, the
moment as of which they hold, in seconds of the caller's clock. A row of zeros knows nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

NAME = "session-recent@1"
"""name@version of what these numbers mean; every answer carries it."""
BATCH = 64
"""People in one request."""
TALKS = 16
"""Conversations of one person in one request; more go in the next one, from the state of this."""
SUMS = 4
"""Numbers of a state behind `total`."""

HALF_LIFE_S, SHORT_S, LONG_S, USUAL_S = 1_800.0, 3.0, 1_800.0, 60.0
DOUBLINGS, FADED = 2.0, 1e-3

Exact = NDArray[np.float64]
Float = NDArray[np.float32]


def encode(before: Exact, talks: Exact, partners: Float) -> Exact:
    """States (n, dims + 4) after these conversations.

    `before` (n, dims + 4); `talks` (n, TALKS, 2) when each ended and how long it was, in seconds,
    in order, length 0 where there are fewer; `partners` (n, TALKS, dims), directions of length 1.
    """
    state = before
    for number in range(talks.shape[1]):
        state = _after(state, talks[:, number], partners[:, number])
    return state


def _after(state: Exact, talk: Exact, partner: Float) -> Exact:
    ended, length = talk[:, 0], talk[:, 1]
    known, at = state[:, :-1], state[:, -1]
    left = np.exp2(-np.maximum(ended - at, 0.0) / HALF_LIFE_S)
    left = np.where(known[:, -2] * left < FADED, 0.0, left)
    known = known * left[:, None]
    heard = np.log2(np.clip(length, SHORT_S, LONG_S))
    usual = (known[:, -1] + math.log2(USUAL_S)) / (known[:, -2] + 1.0)
    count = np.clip((heard - usual) / DOUBLINGS, -1.0, 1.0)
    gained = np.column_stack([count[:, None] * partner, np.abs(count), np.ones_like(count), heard])
    moment = np.where(left > 0.0, np.maximum(ended, at), ended)
    learned = length >= SHORT_S  # not a number neither
    return np.where(learned[:, None], np.column_stack([known + gained, moment]), state)
