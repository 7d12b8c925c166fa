"""The seam to heavy models: second opinions on what a device could not settle.

Adapters: `in_process` (the same files, this process) and `triton` (tritonserver over gRPC), which
`guarded` wraps with breakers and known answers. `opening.open_inference` gives what the settings
ask for; `scripted.ScriptedInference` is the twin for tests of others. An answer of the wrong shape,
an empty one and one with a number that is not finite are failures of the model (ModelFailed), never
opinions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SpaceId:
    """Names an embedding space; vectors of different spaces are never compared."""

    model: str
    version: str
    dims: int


@dataclass(frozen=True, slots=True)
class BankEntry:
    """A confirmed case. `embedding`: (dims,) float32, of any length above 0."""

    entry_id: str
    bank: str
    space: SpaceId
    embedding: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class BankHit:
    """The nearest entry of one bank; `similarity` is the cosine, [-1, 1]."""

    bank: str
    entry_id: str
    similarity: float


@dataclass(frozen=True, slots=True)
class EmbeddingAnswer:
    """What bank search and head say of one embedding."""

    hits: tuple[BankHit, ...]
    """The nearest entry of each bank that has any in this space."""
    classes: tuple[str, ...]
    """Names of the head's classes: Drawing, Hentai, Neutral, Porn, Sexy."""
    scores: NDArray[np.float32]
    """(classes,) float32 probabilities of the head, [0, 1], summing to 1."""
    models: tuple[str, ...]
    """What answered, as name@version."""


@dataclass(frozen=True, slots=True)
class ImageVote:
    """What one image model says."""

    model: str
    """name@version."""
    classes: tuple[str, ...]
    scores: NDArray[np.float32]
    """(classes,) float32 probabilities, [0, 1], summing to 1."""


class Inference(Protocol):
    """Heavy models, wherever they run. Safe to use from many tasks of one loop.

    Every call raises Unavailable (INFERENCE_UNAVAILABLE: nobody answers, or the breaker is open),
    DeadlineExceeded (not within `budget_s`; no call starts without budget), Overloaded (the queue
    is full), ModelFailed (an answer that is none).
    """

    async def judge_embedding(
        self, space: SpaceId, embedding: NDArray[np.float32], budget_s: float
    ) -> EmbeddingAnswer:
        """Bank search and head on a (dims,) float32 embedding, within `budget_s` seconds. Raises
        InvalidRequest for a space that no head knows and for numbers that are not finite."""
        ...

    async def judge_image(
        self, picture: NDArray[np.uint8], budget_s: float
    ) -> tuple[ImageVote, ...]:
        """One vote of each image model on a (height, width, 3) uint8 RGB picture, sides of 1 to
        4,096, in memory only. Where one model fails, all do: a lone vote is no second opinion.
        """
        ...

    async def put_bank(self, entries: Sequence[BankEntry], generation: int = 0) -> None:
        """Replaces all banks. Later answers of this object are by these entries or newer ones.

        `generation` says which of two states is newer to all who share a server. It must rise with
        what was read and never fall when a reader starts anew: one more than the sum of the log
        positions of all partitions does. Two states of one generation are ordered by chance. 0: one
        above the highest that this object knows, which is right for a single feeder. A lower
        generation than the present one changes nothing. Raises BankTooLarge and InvalidRequest
        (the present banks stay); a server that is away is fed when it is back.
        """
        ...

    @property
    def degraded(self) -> bool:
        """The default second opinion (judge_embedding) does not answer now: devices' verdicts
        stand, cases wait for people. True within 1 s of the loss; clears by itself."""
        ...

    async def ready(self) -> bool:
        """Every model has given its known answer since it was last lost. False: serve no role that
        needs opinions yet."""
        ...

    async def close(self) -> None:
        """Ends what was opened. Closing twice does nothing."""
        ...
