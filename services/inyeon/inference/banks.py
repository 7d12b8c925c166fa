"""Banks of confirmed cases: exact search by cosine, one matrix for each bank.

10,000 entries of 64 dimensions are one product of 2.5 MB, under a millisecond; the limit is 51 MB.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inyeon.inference.errors import BankTooLarge
from inyeon.inference.port import BankEntry, BankHit, SpaceId
from inyeon.runtime.errors import InvalidRequest

MAX_ENTRIES = 200_000  # 64 float32 each: 51 MB, about 15 ms to search; above it, an index is due
ROWS = 128
"""Rows of one product. OpenBLAS splits larger ones over threads and waits for each: on a busy
machine that is 47 ms at p95 where blocks of 128 rows take 0.3 (10,000 entries, two cores)."""
_TINY = 1e-12

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True, order=True)
class Generation:
    """Which state of the banks: the higher one is the newer one.

    `number` rises with what was read of the log and is the same for all who read the same; `digest`
    is of the entries and decides between two that read as much but not the same, until both have
    read all.
    """

    number: int
    digest: int


NOTHING = Generation(0, 0)
"""What a server has that was just started."""


class Banks:
    """A snapshot of all banks of one space, immutable. Entries are in order of bank, then id."""

    def __init__(self, space: SpaceId, entries: Sequence[BankEntry], number: int) -> None:
        self.space = space
        self.entries = tuple(sorted(entries, key=lambda entry: (entry.bank, entry.entry_id)))
        self.number = number

    @classmethod
    def of(cls, space: SpaceId, entries: Iterable[BankEntry], number: int) -> Banks:
        """Those of `entries` that are in `space`.

        Raises BankTooLarge above MAX_ENTRIES (of all spaces) and InvalidRequest for a vector of
        another length, of length 0 or with a number that is not finite.
        """
        entries = tuple(entries)
        if len(entries) > MAX_ENTRIES:
            raise BankTooLarge(
                f"{len(entries)} bank entries, at most {MAX_ENTRIES} can be searched"
            )
        mine = [entry for entry in entries if entry.space == space]
        for entry in mine:
            _check(entry, space)
        return cls(space, mine, number)

    @cached_property
    def vectors(self) -> Float:
        """(n, dims) float32, each of length 1."""
        rows = [entry.embedding for entry in self.entries]
        stacked = np.asarray(rows, dtype=np.float32).reshape(len(rows), self.space.dims)
        return unit(stacked)

    @cached_property
    def generation(self) -> Generation:
        """`number` with the digest of banks, ids and vectors; NOTHING before the first put."""
        if not self.entries and self.number == 0:
            return NOTHING
        digest = hashlib.sha256()
        for entry in self.entries:
            digest.update(f"{entry.bank}\0{entry.entry_id}\0".encode())
        digest.update(self.vectors.tobytes())
        return Generation(self.number, int.from_bytes(digest.digest()[:7], "big"))

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Entries by bank."""
        return dict(Counter(entry.bank for entry in self.entries))

    @cached_property
    def _slices(self) -> dict[str, slice]:
        slices, start = {}, 0
        for bank, size in self.sizes.items():
            slices[bank] = slice(start, start + size)
            start += size
        return slices

    def nearest(self, embedding: Float) -> tuple[BankHit, ...]:
        """The nearest entry of each bank to a (dims,) embedding; the first of equals."""
        if not self.entries:
            return ()
        similarities = self._similarities(unit(embedding[None])[0])
        return tuple(
            self._hit(bank, part, similarities[part]) for bank, part in self._slices.items()
        )

    def _similarities(self, embedding: Float) -> Float:
        similarities = np.empty(len(self.vectors), dtype=np.float32)
        for start in range(0, len(self.vectors), ROWS):
            rows = slice(start, start + ROWS)
            np.dot(self.vectors[rows], embedding, out=similarities[rows])
        return similarities

    def _hit(self, bank: str, part: slice, similarities: Float) -> BankHit:
        best = int(similarities.argmax())
        similarity = float(np.clip(similarities[best], -1.0, 1.0))
        return BankHit(bank, self.entries[part.start + best].entry_id, similarity)


def unit(vectors: Float) -> Float:
    """Rows of length 1; a row of zeros stays zeros, and is near to nothing."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, _TINY), dtype=np.float32)


def _check(entry: BankEntry, space: SpaceId) -> None:
    vector = entry.embedding
    if vector.shape != (space.dims,) or not np.isfinite(vector).all() or not vector.any():
        message = (
            f"entry {entry.entry_id} is no vector of {space.dims} finite numbers above length 0"
        )
        raise InvalidRequest(message, field="embedding")
