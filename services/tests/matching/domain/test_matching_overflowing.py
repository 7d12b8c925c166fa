"""The way of somebody who waits: home, then its neighbours, each for its time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.matching.domain.overflowing import Overflow
from inyeon.matching.domain.territories import (
    ANYWHERE,
    PolicySet,
    PoolArea,
    Territories,
    Territory,
)

pytestmark = pytest.mark.unit

AREAS = (
    PoolArea("east", ("south", "west")),
    PoolArea("south", ("east",)),
    PoolArea("west", ("east",)),
    PoolArea(ANYWHERE),
)
ROWS = (
    Territory("KR", "Korea (South)", "east", PolicySet.GUARDED, 19, ("ko",)),
    Territory("TH", "Thailand", "south", PolicySet.STANDARD, 20, ("th",)),
)
RULES = Overflow(Territories(AREAS, ROWS), after_s=60.0)


@pytest.mark.parametrize(
    ("country", "pool", "waited_s", "goes_to"),
    [
        ("KR", "east", 59.9, None),
        ("KR", "east", 60.0, "south"),
        ("KR", "south", 119.0, None),
        ("KR", "south", 120.0, "west"),
        ("KR", "west", 10_000.0, None),
        ("TH", "south", 60.0, "east"),
        ("TH", "east", 10_000.0, None),
        ("", ANYWHERE, 10_000.0, None),
        ("TH", "west", 10_000.0, None),
    ],
)
def test_each_pool_has_its_time(
    country: str, pool: str, waited_s: float, goes_to: str | None
) -> None:
    assert RULES.next_pool(country, pool, waited_s) == goes_to


@given(st.sampled_from(["KR", "TH", ""]), st.floats(0, 1e6))
def test_nobody_goes_in_circles(country: str, waited_s: float) -> None:
    seen = [RULES.home(country)]
    while (following := RULES.next_pool(country, seen[-1], waited_s)) is not None:
        assert following not in seen
        seen.append(following)
