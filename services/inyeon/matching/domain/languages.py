"""Languages people speak, and between which the platform translates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from inyeon.matching.domain.refusals import WishRefused

MAX_LEVEL = 5
"""First language. Levels start at 1, a little."""


@dataclass(frozen=True, slots=True)
class SpokenLanguage:
    """A language with its level."""

    tag: str
    """BCP 47 primary tag: two or three small letters."""
    level: int
    """1 to 5."""


def tag_code(tag: str, field: str) -> int:
    """A number from 27 to 19,682 for a primary tag; raises WishRefused (LANGUAGE_UNKNOWN) for
    anything else.
    """
    if len(tag) not in (2, 3) or not all("a" <= letter <= "z" for letter in tag):
        raise WishRefused(field, "LANGUAGE_UNKNOWN", f"{tag!r} is no BCP 47 primary tag")
    code = 0
    for letter in tag:
        code = code * 27 + ord(letter) - 96
    return code


@dataclass(frozen=True, slots=True)
class Routes:
    """Pairs of languages that the platform translates both ways."""

    pairs: frozenset[frozenset[str]] = field(default_factory=frozenset)

    @classmethod
    def parse(cls, names: Iterable[str]) -> Routes:
        """From names such as `en-es`; raises WishRefused where one is not two different tags."""
        return cls(frozenset(_pair(name) for name in names))

    def between(self, one: str, other: str) -> bool:
        """A conversation between these two languages can be translated."""
        return frozenset((one, other)) in self.pairs

    def codes(self) -> tuple[tuple[int, int], ...]:
        """The pairs as tag codes, sorted."""
        coded = [sorted(tag_code(tag, "routes") for tag in pair) for pair in self.pairs]
        return tuple(sorted((low, high) for low, high in coded))


def _pair(name: str) -> frozenset[str]:
    tags = name.split("-")
    for tag in tags:
        tag_code(tag, "routes")
    if len(tags) != 2 or tags[0] == tags[1]:
        raise WishRefused("routes", "ROUTE_UNKNOWN", f"{name!r} is not two languages such as en-es")
    return frozenset(tags)
