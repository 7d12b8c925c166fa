"""The hash chain of decisions: each entry's hash covers the one before, so that none can be
changed, dropped or slipped in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

GENESIS = "0" * 64
"""Hash before the first entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision as it was appended."""

    seq: int
    """From 1, without gaps."""
    case_id: str
    reviewer: str
    decision: str
    note: str
    decided_at: str
    """ISO 8601, UTC."""

    def hash_after(self, previous: str) -> str:
        """SHA-256 in hex over the previous hash and this entry as canonical JSON (sorted keys, no
        spaces)."""
        body = {name: getattr(self, name) for name in self.__slots__}
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def first_break(entries: Iterable[tuple[Entry, str]], head: tuple[int, str]) -> int | None:
    """Sequence of the first entry that does not hold, given (entry, stored hash) in order and the
    head (seq, hash).

    None where the chain is whole; one past the last entry where the end was cut off.
    """
    seq, previous = 0, GENESIS
    for entry, stored in entries:
        seq += 1
        if entry.seq != seq or entry.hash_after(previous) != stored:
            return seq
        previous = stored
    return None if head == (seq, previous) else seq + 1
