"""The table of countries: all 249 of ISO 3166-1, and the strictest for everybody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.matching.adapters.territory_files import read_territories
from inyeon.matching.data import COUNTRIES, POOLS
from inyeon.matching.domain.territories import (
    ANYWHERE,
    PolicySet,
    PoolArea,
    TableRefused,
    Territories,
    Territory,
)

pytestmark = pytest.mark.unit

# Second letters of the officially assigned alpha-2 codes, by first letter; ISO 3166-1 has 249.
ASSIGNED = {
    "A": "DEFGILMOQRSTUWXZ",
    "B": "ABDEFGHIJLMNOQRSTVWYZ",
    "C": "ACDFGHIKLMNORUVWXYZ",
    "D": "EJKMOZ",
    "E": "CEGHRST",
    "F": "IJKMOR",
    "G": "ABDEFGHILMNPQRSTUWY",
    "H": "KMNRTU",
    "I": "DELMNOQRST",
    "J": "EMOP",
    "K": "EGHIMNPRWYZ",
    "L": "ABCIKRSTUVY",
    "M": "ACDEFGHKLMNOPQRSTUVWXYZ",
    "N": "ACEFGILOPRUZ",
    "O": "M",
    "P": "AEFGHKLMNRSTWY",
    "Q": "A",
    "R": "EOSUW",
    "S": "ABCDEGHIJKLMNORSTVXYZ",
    "T": "CDFGHJKLMNORTVWZ",
    "U": "AGMSYZ",
    "V": "ACEGINU",
    "W": "FS",
    "Y": "ET",
    "Z": "AMW",
}
CODES = [first + second for first, seconds in ASSIGNED.items() for second in seconds]
OURS = ["ar", "de", "en", "es", "fa", "fr", "hi", "id", "it", "ja"]
OURS += ["ko", "pl", "pt", "ru", "th", "tr", "uk", "vi", "zh"]
# Well known ages of majority other than 18, and where several hold inside a state.
OLDER = {"KR": 19, "DZ": 19, "CA": 19, "TH": 20, "NZ": 20, "SG": 21, "EG": 21, "US": 21}


@pytest.fixture(scope="module")
def table() -> Territories:
    return read_territories(COUNTRIES, POOLS)


def test_the_list_of_this_test_is_whole() -> None:
    assert len(CODES) == len(set(CODES)) == 249


@pytest.mark.parametrize("code", CODES)
def test_every_country_has_its_row(table: Territories, code: str) -> None:
    row = table.of(code)
    assert row.country == code and row.name
    assert row.pool in table.pools and row.pool != "" and row.policy_set in PolicySet
    assert 18 <= row.age_of_majority <= 21
    assert row.languages and len(set(row.languages)) == len(row.languages)
    assert row.age_of_majority >= OLDER.get(code, 18)


def test_the_table_has_no_country_beyond_iso(table: Territories) -> None:
    assert {row.country for row in table.rows} == set(CODES)


@pytest.mark.parametrize("code", ["", "XX", "us", "USA", "ZZ", "🇰🇷", "A\x00"])
def test_an_unknown_country_gets_the_strictest_of_everything(table: Territories, code: str) -> None:
    row = table.of(code)
    assert row.pool == ANYWHERE
    assert row.policy_set is max(one.policy_set for one in table.rows) is PolicySet.STRICT
    assert row.age_of_majority == max(one.age_of_majority for one in table.rows) == 21


@pytest.mark.parametrize("tag", OURS)
def test_every_language_of_the_platform_is_spoken_somewhere(table: Territories, tag: str) -> None:
    assert any(tag in row.languages for row in table.rows)


def test_pools_overflow_both_ways_and_every_pool_has_people(table: Territories) -> None:
    for pool in table.pools:
        assert any(row.pool == pool for row in table.rows)
        for other in table.neighbours(pool):
            assert pool == ANYWHERE or pool in table.neighbours(other)
    assert not any(ANYWHERE in table.neighbours(pool) for pool in table.pools)
    assert table.neighbours("nowhere") == ()


def row(**changes: object) -> Territory:
    facts: dict[str, object] = {
        "country": "KR",
        "name": "Korea (South)",
        "pool": "east",
        "policy_set": PolicySet.GUARDED,
        "age_of_majority": 19,
        "languages": ("ko",),
    }
    return Territory(**(facts | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"age_of_majority": 17}, "AGE_OF_MAJORITY"),
        ({"age_of_majority": 22}, "AGE_OF_MAJORITY"),
        ({"country": "kr"}, "COUNTRY_UNKNOWN"),
        ({"languages": ("korean",)}, "LANGUAGE_UNKNOWN"),
    ],
)
def test_a_row_that_cannot_be_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(TableRefused) as refused:
        row(**changes)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("areas", "rows", "reason", "where"),
    [
        ([PoolArea("east")], [], "POOL_UNKNOWN", ANYWHERE),
        ([PoolArea(ANYWHERE, ("west",))], [], "POOL_UNKNOWN", ANYWHERE),
        ([PoolArea(ANYWHERE)], [row()], "POOL_UNKNOWN", "KR"),
        ([PoolArea(ANYWHERE), PoolArea(ANYWHERE)], [], "POOL_REPEATED", ANYWHERE),
        ([PoolArea(ANYWHERE), PoolArea("east")], [row(), row()], "COUNTRY_REPEATED", "KR"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(
    areas: list[PoolArea], rows: list[Territory], reason: str, where: str
) -> None:
    with pytest.raises(TableRefused) as refused:
        Territories(tuple(areas), tuple(rows))
    assert (refused.value.reason, refused.value.where) == (reason, where)


@pytest.mark.parametrize("name", ["", "East", "east asia", "ost-ö", "x" * 33, "-"])
def test_a_pool_has_a_plain_name(name: str) -> None:
    with pytest.raises(TableRefused) as refused:
        PoolArea(name)
    assert refused.value.reason == "POOL_NAME"


@pytest.mark.parametrize("neighbours", [("east",), ("west", "west")])
def test_a_pool_overflows_to_others_once(neighbours: tuple[str, ...]) -> None:
    with pytest.raises(TableRefused, match="each once"):
        PoolArea("east", neighbours)


def test_an_empty_table_is_strict_to_everybody() -> None:
    unknown = Territories((PoolArea(ANYWHERE),), ()).of("KR")
    assert (unknown.policy_set, unknown.age_of_majority) == (PolicySet.STRICT, 21)


@given(st.lists(st.tuples(st.sampled_from(list(PolicySet)), st.integers(18, 21)), min_size=1))
def test_no_row_is_stricter_than_the_unknown(facts: list[tuple[PolicySet, int]]) -> None:
    rows = tuple(
        row(country=CODES[number], policy_set=policy_set, age_of_majority=age)
        for number, (policy_set, age) in enumerate(facts)
    )
    table = Territories((PoolArea(ANYWHERE), PoolArea("east")), rows)
    unknown = table.of("XX")
    for one in rows:
        assert unknown.policy_set >= one.policy_set
        assert unknown.age_of_majority >= one.age_of_majority
