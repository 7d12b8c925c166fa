"""Countries and pools: where somebody waits, under which policies, from when on they are of age.

One table has a row for each of the 249 ISO 3166-1 alpha-2 codes. Whoever declares no country, or
one that is not in the table, gets the strictest of everything. Ages and policy sets are defaults
for an operator's counsel to check: where law varies inside a country, or sources differ, the table
takes the stricter reading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from types import MappingProxyType

from inyeon.matching.domain.languages import tag_code
from inyeon.matching.domain.people import country_index
from inyeon.matching.domain.refusals import WishRefused

ANYWHERE = "anywhere"
"""Pool of people whose country is not known. Every table has it."""
YOUNGEST_MAJORITY = 18
"""The platform's own floor: a lower age of majority (16 in Scotland) counts as 18 here."""
OLDEST_MAJORITY = 21
"""No state has a higher one."""
MAX_POOL_NAME = 32


class TableRefused(ValueError):
    """The table is not as it must be. `where` names the row, `reason` is a code."""

    def __init__(self, where: str, reason: str, message: str) -> None:
        super().__init__(f"{where}: {message}")
        self.where = where
        self.reason = reason


class PolicySet(IntEnum):
    """Sets of policies, by rising strictness."""

    STANDARD = 1
    GUARDED = 2
    """Law asks for particular care of the young or of personal data."""
    STRICT = 3
    """Conflict, sanctions or no law known: the most careful set."""


@dataclass(frozen=True, slots=True)
class Territory:
    """One row: what holds for people of a country."""

    country: str
    """ISO 3166-1 alpha-2; empty for people without a known one."""
    name: str
    pool: str
    policy_set: PolicySet
    age_of_majority: int
    """Years, 18 to 21."""
    languages: tuple[str, ...]
    """BCP 47 primary tags, official or widely spoken, the most common first."""

    def __post_init__(self) -> None:
        """Raises TableRefused."""
        if not YOUNGEST_MAJORITY <= self.age_of_majority <= OLDEST_MAJORITY:
            message = f"{self.age_of_majority} is not {YOUNGEST_MAJORITY} to {OLDEST_MAJORITY}"
            raise TableRefused(self.country, "AGE_OF_MAJORITY", message)
        try:
            if self.country:
                country_index(self.country, self.country)
            for tag in self.languages:
                tag_code(tag, self.country)
        except WishRefused as refused:
            raise TableRefused(self.country, refused.reason, str(refused)) from refused


@dataclass(frozen=True, slots=True)
class PoolArea:
    """A pool of the table, with the pools that its people may overflow to, nearest first."""

    name: str
    neighbours: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises TableRefused."""
        small = self.name.replace("-", "").isalnum() and self.name == self.name.lower()
        if not (small and self.name.isascii() and len(self.name) <= MAX_POOL_NAME):
            raise TableRefused(self.name, "POOL_NAME", "small letters, digits and hyphens, 1 to 32")
        if self.name in self.neighbours or len(set(self.neighbours)) < len(self.neighbours):
            raise TableRefused(self.name, "NEIGHBOURS", "a pool overflows to others, each once")


@dataclass(frozen=True)
class Territories:
    """The whole table, checked."""

    areas: tuple[PoolArea, ...]
    rows: tuple[Territory, ...]
    _by_country: Mapping[str, Territory] = field(init=False, repr=False, compare=False)
    _by_pool: Mapping[str, PoolArea] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises TableRefused for a name that is there twice or not at all."""
        _once((area.name for area in self.areas), "POOL_REPEATED")
        _once((row.country for row in self.rows), "COUNTRY_REPEATED")
        by_pool = {area.name: area for area in self.areas}
        if ANYWHERE not in by_pool:
            raise TableRefused(ANYWHERE, "POOL_UNKNOWN", "the table has no such pool")
        for area in self.areas:
            _known(area.neighbours, by_pool, area.name)
        for row in self.rows:
            _known((row.pool,), by_pool, row.country)
        by_country = {row.country: row for row in self.rows}
        object.__setattr__(self, "_by_pool", MappingProxyType(by_pool))
        object.__setattr__(self, "_by_country", MappingProxyType(by_country))

    def of(self, country: str) -> Territory:
        """The row of a country; the strictest of everything for one that is not in the table."""
        return self._by_country.get(country) or self.unknown

    @cached_property
    def unknown(self) -> Territory:
        """What holds where no country is known."""
        return Territory(
            "",
            "unknown",
            ANYWHERE,
            max((row.policy_set for row in self.rows), default=PolicySet.STRICT),
            max((row.age_of_majority for row in self.rows), default=OLDEST_MAJORITY),
            (),
        )

    @property
    def pools(self) -> tuple[str, ...]:
        """Names of all pools, in the table's order."""
        return tuple(self._by_pool)

    def neighbours(self, pool: str) -> tuple[str, ...]:
        """Where people of a pool may overflow to, nearest first; nowhere from an unknown one."""
        area = self._by_pool.get(pool)
        return area.neighbours if area else ()


def _once(names: Iterable[str], reason: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise TableRefused(name, reason, f"is in the table {count} times")


def _known(names: Iterable[str], pools: Mapping[str, PoolArea], where: str) -> None:
    for name in names:
        if name not in pools:
            raise TableRefused(where, "POOL_UNKNOWN", f"{name!r} is no pool of the table")
