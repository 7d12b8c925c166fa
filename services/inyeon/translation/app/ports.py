"""What the use cases ask of the world. Each has an adapter and a twin in the tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from inyeon.translation.domain.answers import EngineAnswer, Tier
from inyeon.translation.domain.conversation import Caption, Receipt


class Engine(Protocol):
    """One tier. Used by many tasks of one loop at once."""

    @property
    def tier(self) -> Tier:
        """Which tier it is."""
        ...

    @property
    def version(self) -> str:
        """Name and version; part of every cache key."""
        ...

    def routes(self) -> frozenset[tuple[str, str]]:
        """(source, target) pairs that it can translate now; primary tags."""
        ...

    async def translate(
        self, text: str, source: str, target: str, deadline_s: float
    ) -> EngineAnswer:
        """Translates one protected sentence within `deadline_s`.

        Raises EngineUnavailable (the breaker counts it) or EngineRefused (this text only). A normal
        return says
        nothing about quality: the gate looks at every answer.
        """
        ...


class Identifier(Protocol):
    """Knows how texts of each language look."""

    def scores(self, text: str) -> Mapping[str, float]:
        """Natural-log scores by language, comparable with each other only; empty while it is not
        ready.
        """
        ...


class Line(Protocol):
    """A person's stream, as a conversation uses it."""

    @property
    def user_id(self) -> str:
        """Whose stream."""
        ...

    def show(self, caption: Caption) -> int:
        """Queues a caption; returns its server sequence. Raises SessionOver."""
        ...

    def tell_over(self, match_id: str, reason: str) -> None:
        """Tells that the conversation is over. Does nothing on a stream that is gone."""
        ...

    async def acknowledge(self, through: int) -> None:
        """Every message up to `through` is done. Raises SessionSuperseded, StoreUnavailable."""
        ...


class Post(Protocol):
    """A way to the stream of another person, on whichever replica it is. Each call takes at most 1
    s.
    """

    async def caption(self, user_id: str, caption: Caption) -> bool:
        """Hands over a caption; False where nobody takes it now."""
        ...

    async def receipt(self, user_id: str, receipt: Receipt) -> bool:
        """Tells an author that the partner's device has a final."""
        ...

    async def arrival(
        self, user_id: str, match_id: str, partner_id: str, name: str, *, answer: bool
    ) -> bool:
        """Tells that `partner_id`, shown as `name`, holds a grant of the match; `answer` asks for
        the same back.
        """
        ...

    async def over(self, user_id: str, match_id: str, reason: str) -> bool:
        """Tells a person's stream that the match is over."""
        ...


class Observer(Protocol):
    """Counts what happens. Gets names of tiers, faults and pairs; never a text, never a person."""

    def answered(self, tier: str, pair: str, seconds: float) -> None:
        """A text was answered by this tier, or by `untranslated`."""
        ...

    def refused(self, tier: str, reason: str) -> None:
        """An engine's answer was not used."""
        ...

    def cached(self, hit: bool) -> None:
        """A sentence was looked up."""
        ...

    def caption(self, event: str) -> None:
        """A caption was shown, repeated, late, confirmed."""
        ...
