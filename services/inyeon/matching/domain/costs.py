"""What each filter of a person's own costs them in waiting time: an estimate, for people to read.

    expected wait = wave_s * max(1, rivals / fitting)   while somebody who fits is here
                    seconds / arrivals                  otherwise; unknown for no arrival

`wave_s` is the pause between waves.

`fitting` counts the people of the last wave who pass both people's gates, `rivals` is how many
people fit each of these on average (each goes to one of them), `arrivals` counts who would have
fitted of those who came within `seconds`. A wave takes whoever fits, so a wait is some waves long
where nobody competes. Blocks are not asked of arrivals; one person's blocks are few among them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.filters import Filter
from inyeon.matching.domain.languages import Routes


@dataclass(frozen=True, slots=True)
class FilterCost:
    """What one filter costs."""

    filter: Filter
    more_people: int
    """Of the last wave, who would fit too without it."""
    expected_s: float | None
    """Expected wait with every filter; None: longer than the pool can tell."""
    without_s: float | None
    """Expected wait without this one; None: longer than the pool can tell."""


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """n people whom somebody may meet or could have met."""

    rows: NDArray[np.void]
    """(n,) of columns.ROW."""
    rivals: NDArray[np.int64]
    """(n,) how many people fit each of them."""
    barred: NDArray[np.bool_]
    """(n,) oneself, and those whom one must not meet."""
    stands_for: int = 1
    """People for whom each row stands, where only a share of them is looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Sieve:
    """What stands between one person and n others, (n,) booleans: True lets through."""

    rest: NDArray[np.bool_]
    """Every gate that no filter of one's own opens."""
    own: dict[Filter, NDArray[np.bool_]]

    def fit(self, without: Filter | None = None) -> NDArray[np.bool_]:
        """Who passes both people's gates, one of one's own filters dropped."""
        fit = self.rest.copy()
        for each, lets in self.own.items():
            if each is not without:
                fit &= lets
        return fit


def sift(mine: np.void, crowd: Crowd, routes: Routes) -> Sieve:
    """Every gate between one person and a crowd, both ways."""
    rows = crowd.rows
    common = np.isin(rows["tags"], mine["tags"][mine["tags"] > 0]).any(axis=1)
    reached = np.isin(rows["tags"], _reached(mine, routes)).any(axis=1)
    translated = reached & rows["welcome"]
    rest = ~crowd.barred & (rows["age"] == mine["age"]) & (common | translated)
    rest &= (rows["wanted_genders"] & mine["gender_bit"]) != 0
    rest &= ~rows["limited"] | _holds(rows["wanted_countries"], mine["country"])
    own = {
        Filter.GENDERS: (mine["wanted_genders"] & rows["gender_bit"]) != 0,
        Filter.COUNTRIES: _wants(mine, rows["country"]),
        Filter.COMMON_LANGUAGE: common | (translated & mine["welcome"]),
    }
    return Sieve(rest, own)


def filter_costs(
    mine: np.void, here: Crowd, lately: Crowd, span_s: float, routes: Routes, wave_s: float
) -> tuple[FilterCost, ...]:
    """The filters whose loss would let more people through, the dearest first; empty where no
    filter of one's own stands in the way. `lately` came within the last `span_s`, waves come every
    `wave_s`."""
    now, came = sift(mine, here, routes), sift(mine, lately, routes)
    fitting = now.fit()
    expected = _expected_s(fitting, here, came.fit(), span_s, wave_s)
    costs = []
    for each in now.own:
        wider, wider_came = now.fit(each), came.fit(each)
        more = int(wider.sum() - fitting.sum()) * here.stands_for
        if more or wider_came.sum() > came.fit().sum():
            without = _expected_s(wider, here, wider_came, span_s, wave_s)
            costs.append(FilterCost(each, more, expected, without))
    return tuple(sorted(costs, key=lambda cost: (_told(cost.without_s), cost.filter)))


def similarity_cost(
    similarity: NDArray[np.float64],
    wanted: float,
    relaxed_after_s: float,
    start: float,
    wave_s: float,
) -> FilterCost | None:
    """What one's own patience costs: the people who fit but are not close enough yet, and until
    when the closest of them is. `similarity` is theirs, `wanted` what one takes now; patience falls
    from `start` to 0 over `relaxed_after_s`. None where somebody is close enough, or nobody fits.
    """
    if not len(similarity) or (best := max(float(similarity.max()), 0.0)) >= wanted:
        return None
    left_s = relaxed_after_s * (wanted - best) / start
    return FilterCost(Filter.SIMILARITY, len(similarity), max(left_s, wave_s), wave_s)


def _expected_s(
    fitting: NDArray[np.bool_], here: Crowd, came: NDArray[np.bool_], span_s: float, wave_s: float
) -> float | None:
    if count := int(fitting.sum()) * here.stands_for:
        return wave_s * max(1.0, float(here.rivals[fitting].mean()) / count)
    return span_s / int(came.sum()) if came.any() else None


def _told(expected_s: float | None) -> float:
    return np.inf if expected_s is None else expected_s


def _reached(mine: np.void, routes: Routes) -> NDArray[np.int64]:
    """Codes of the languages into which one's own can be translated."""
    own = {int(tag) for tag in mine["tags"] if tag}
    reached = {high for low, high in routes.codes() if low in own}
    reached |= {low for low, high in routes.codes() if high in own}
    return np.array(sorted(reached), np.int64)


def _wants(mine: np.void, country: NDArray[np.int16]) -> NDArray[np.bool_]:
    if not mine["limited"]:
        return np.ones(len(country), np.bool_)
    wants: NDArray[np.uint8] = mine["wanted_countries"][country >> 3]
    return ((wants >> (country & 7)) & 1).astype(np.bool_)


def _holds(wanted: NDArray[np.uint8], country: np.int16) -> NDArray[np.bool_]:
    """(n,) whether each (n, bytes) set of countries holds that one."""
    return ((wanted[:, country >> 3] >> (country & 7)) & 1).astype(np.bool_)
