"""Which offsets a member was asked to commit, and which of them are committed."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import Any

from kafka import OffsetAndMetadata, TopicPartition

Offsets = dict[TopicPartition, int]
"""Next offset to read, by partition."""


class Commits:
    """Used by the loop, which asks, and by the client's thread, which gives partitions up."""

    def __init__(self) -> None:
        self._asked: Offsets = {}
        self._answered: Offsets = {}
        self._guard = threading.Lock()  # of both

    def ask(self, wanted: Mapping[TopicPartition, int]) -> None:
        """The application is done up to here. Going back is not possible."""
        with self._guard:
            for place, offset in wanted.items():
                self._asked[place] = max(offset, self._asked.get(place, 0))

    def answer(self, done: Mapping[TopicPartition, int]) -> None:
        """The broker has these."""
        with self._guard:
            for place, offset in done.items():
                self._answered[place] = max(offset, self._answered.get(place, 0))

    def unanswered(self, wanted: Mapping[TopicPartition, int]) -> Offsets:
        """What of these the broker does not have yet."""
        with self._guard:
            return {p: o for p, o in wanted.items() if self._answered.get(p, -1) < o}

    def open_of(self, places: Collection[TopicPartition]) -> Offsets:
        """What was asked for these partitions and is not answered."""
        with self._guard:
            asked = {p: self._asked[p] for p in places if p in self._asked}
        return self.unanswered(asked)

    def forget(self, places: Collection[TopicPartition]) -> None:
        """The partitions come anew: what was done before they went is no longer ours to say."""
        with self._guard:
            for place in places:
                self._asked.pop(place, None)
                self._answered.pop(place, None)

    @staticmethod
    def offsets(offsets: Offsets) -> dict[TopicPartition, Any]:
        """For the client."""
        return {place: OffsetAndMetadata(offset, "", -1) for place, offset in offsets.items()}
