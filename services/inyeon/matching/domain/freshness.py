"""How old this replica's view of verdicts may be: by the marks that moderation puts behind them.

Moderation commits a mark for each partition once a second and its outbox keeps the order of
commits, so whoever has read a mark has read every verdict of that partition committed before it.
"""

from __future__ import annotations

from datetime import datetime, timedelta


class Freshness:
    """The newest mark of each partition. `expected`: marks have been seen in the life of this
    deployment, so their absence means something."""

    def __init__(self, partitions: int, *, expected: bool = False) -> None:
        self.expected = expected
        self._partitions = partitions
        self._marks: dict[int, datetime] = {}

    def mark(self, partition: int, committed_at: datetime) -> None:
        """A mark was read; an older one changes nothing. Raises ValueError for a partition that is
        none."""
        if not 0 <= partition < self._partitions:
            raise ValueError(f"partition {partition} is none of {self._partitions}")
        self.expected = True
        known = self._marks.get(partition)
        self._marks[partition] = committed_at if known is None else max(known, committed_at)

    def age(self, now: datetime) -> timedelta | None:
        """Age of the oldest mark; None where a partition has none yet."""
        if len(self._marks) < self._partitions:
            return None
        return now - min(self._marks.values())

    def stale(self, now: datetime, limit: timedelta) -> bool:
        """The view may miss verdicts older than `limit`: nobody is paired by it. Without any mark
        ever, safety passes alone decide."""
        age = self.age(now)
        return self.expected and (age is None or age > limit)
