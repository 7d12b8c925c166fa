"""Talks that wait to be encoded: one side each of matches that are over, bounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from inyeon.matching.domain.interests import Interests, Space

MOST_WAITING = 4_096
"""Talks in the queue: half a minute of ends at 60 matches a second, some 2 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Talk:
    """One person's side of a match that is over."""

    partner: Interests
    length_s: float
    ended_s: float
    """Seconds since 1970 UTC."""


class TalkQueue:
    """By person, who came first first. Sheds the oldest where there are too many."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, list[Talk]] = OrderedDict()
        """Nobody without a talk."""
        self._count = 0

    def __len__(self) -> int:
        """Talks."""
        return self._count

    def first(self, user_id: str) -> Talk | None:
        """The one of theirs that waits longest."""
        talks = self._waiting.get(user_id)
        return talks[0] if talks else None

    def put(self, user_id: str, talks: Sequence[Talk]) -> int:
        """Behind those of others; returns how many were shed for it."""
        self._waiting.setdefault(user_id, []).extend(talks)
        self._count += len(talks)
        shed = max(self._count - MOST_WAITING, 0)
        for _ in range(shed):
            oldest = next(iter(self._waiting))
            self._drop(oldest, 1)
            if oldest in self._waiting:  # what is left of theirs came later than that of others
                self._waiting.move_to_end(oldest)
        return shed

    def put_back(self, user_id: str, talks: Sequence[Talk]) -> int:
        """Behind those of others, before later ones of the same person; returns how many were
        shed."""
        return self.put(user_id, [*talks, *self.drop(user_id)])

    def drop(self, user_id: str) -> list[Talk]:
        """All of somebody's."""
        return self._drop(user_id, self._count) if user_id in self._waiting else []

    def take(self, people: int, talks: int) -> tuple[Space, dict[str, list[Talk]]]:
        """The space of the first talk, and the next `people` whose talks are of that space, each as
        far as it reaches, at most `talks`. Raises StopIteration where nobody waits."""
        space = next(iter(self._waiting.values()))[0].partner.space
        taken: dict[str, list[Talk]] = {}
        for user_id, mine in list(self._waiting.items()):
            count = 0
            while count < min(len(mine), talks) and mine[count].partner.space == space:
                count += 1
            if count:
                taken[user_id] = self._drop(user_id, count)
            if len(taken) == people:
                break
        return space, taken

    def _drop(self, user_id: str, count: int) -> list[Talk]:
        talks = self._waiting[user_id]
        if count >= len(talks):
            del self._waiting[user_id]
        else:
            self._waiting[user_id] = talks[count:]
        self._count -= min(count, len(talks))
        return talks[:count]
