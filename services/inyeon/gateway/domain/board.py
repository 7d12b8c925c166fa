"""The live state that the status page shows in development: people, verdicts, matches, lines.

Bounded everywhere: the page is for looking, not for keeping.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

MAX_PEOPLE = 50
MAX_MATCHES = 50
MAX_LINES = 100
MAX_STEPS = 200

_Entry = TypeVar("_Entry")
Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


@dataclass(slots=True)
class Person:
    """One subject as the page shows it."""

    subject: str
    facts: dict[str, Json] = field(default_factory=dict)


@dataclass(slots=True)
class Board:
    """What is known now. `version` rises with each change, so that a page asks for news only."""

    version: int = 0
    people: OrderedDict[str, Person] = field(default_factory=OrderedDict)
    matches: OrderedDict[str, dict[str, Json]] = field(default_factory=OrderedDict)
    lines: deque[dict[str, Json]] = field(default_factory=lambda: deque(maxlen=MAX_LINES))
    steps: OrderedDict[str, dict[str, Json]] = field(default_factory=OrderedDict)

    def person(self, subject: str, facts: Mapping[str, Json]) -> None:
        """Adds or changes facts of a person."""
        known = self.people.setdefault(subject, Person(subject))
        known.facts.update(facts)
        _trim(self.people, MAX_PEOPLE)
        self.version += 1

    def match(self, match_id: str, facts: Mapping[str, Json]) -> None:
        """Adds or changes facts of a match."""
        self.matches.setdefault(match_id, {"match": match_id}).update(facts)
        _trim(self.matches, MAX_MATCHES)
        self.version += 1

    def line(self, line: Mapping[str, Json]) -> None:
        """A caption as a device showed it, told by the demo."""
        self.lines.append(dict(line))
        self.version += 1

    def step(self, key: str, facts: Mapping[str, Json]) -> None:
        """A step of the demo."""
        self.steps.setdefault(key, {"step": key}).update(facts)
        _trim(self.steps, MAX_STEPS)
        self.version += 1

    def snapshot(self) -> dict[str, Json]:
        """Everything, ready for JSON."""
        return {
            "version": self.version,
            "people": [{"subject": p.subject, **p.facts} for p in self.people.values()],
            "matches": [dict(m) for m in self.matches.values()],
            "lines": [dict(line) for line in self.lines],
            "steps": [dict(s) for s in self.steps.values()],
        }


def _trim(entries: OrderedDict[str, _Entry], most: int) -> None:
    while len(entries) > most:
        entries.popitem(last=False)
