"""Policy sets have effect: of every country, and the strictest where none is known."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.matching.adapters.policy_files import read_policies
from inyeon.matching.adapters.territory_files import read_territories
from inyeon.matching.data import COUNTRIES, POLICY_SETS, POOLS
from inyeon.matching.domain.faults import LONGEST_S, FaultRules, cool_down_s
from inyeon.matching.domain.overflowing import Overflow
from inyeon.matching.domain.policies import Policies, Policy, asked_within_s
from inyeon.matching.domain.territories import PolicySet, TableRefused, Territories

pytestmark = pytest.mark.unit

TABLE = read_territories(COUNTRIES, POOLS)
POLICIES = read_policies(POLICY_SETS, TABLE)
CODES = [row.country for row in TABLE.rows]
times_s = st.one_of(st.just(0.0), st.floats(1.0, 60.0))
policies = st.builds(
    Policy, times_s, times_s, st.booleans(), times_s, st.floats(1.0, 10.0), st.booleans()
)


def test_the_table_has_all_249() -> None:
    assert len(CODES) == len(set(CODES)) == 249


@pytest.mark.parametrize("code", CODES)
def test_every_country_has_what_its_set_says_and_no_less_than_the_standard(code: str) -> None:
    policy, one = POLICIES.of(code), TABLE.of(code).policy_set
    assert policy is POLICIES.sets[one]
    assert policy.stricter(POLICIES.sets[PolicySet.STANDARD]) == policy
    assert POLICIES.of("").stricter(policy) == POLICIES.of("")
    assert (policy.accept_within_s > 0, policy.minors) == (
        one is PolicySet.STRICT,
        one is not PolicySet.STRICT,
    )
    assert 0 < policy.starvation_bound_s <= 60
    assert Overflow(TABLE, 60.0, POLICIES).next_pool(code, TABLE.of(code).pool, 61.0) is not None


@pytest.mark.parametrize("code", ["", "XX", "us", "\x00"])
def test_who_is_from_nowhere_known_gets_the_strictest(code: str) -> None:
    assert POLICIES.of(code) is POLICIES.sets[PolicySet.STRICT]


def test_nobody_overflows_whose_policy_forbids_it() -> None:
    stays = dict(POLICIES.sets) | {PolicySet.STRICT: Policy(20, 30, False, 5, 2, False)}
    rules = Overflow(TABLE, 60.0, Policies(TABLE, stays))
    for code in CODES:
        moves = rules.next_pool(code, TABLE.of(code).pool, 61.0) is not None
        assert moves is (TABLE.of(code).policy_set is not PolicySet.STRICT)


def test_the_settings_hold_for_everybody() -> None:
    own = Policy(accept_within_s=15.0, starvation_bound_s=40.0, skip_within_s=4.0)
    both = POLICIES.at_least(own)
    assert both.of("US") == Policy(15.0, 40.0, True, 4.0, 1.0, True)
    assert both.of("") == Policy(15.0, 30.0, True, 5.0, 2.0, False)
    assert both.of("").faults == FaultRules(skip_within_s=5.0, cool_down=2.0)


@given(policies, policies, policies)
def test_stricter_is_a_join(one: Policy, two: Policy, three: Policy) -> None:
    assert one.stricter(one) == one
    assert one.stricter(two) == two.stricter(one)
    assert one.stricter(two).stricter(three) == one.stricter(two.stricter(three))
    assert one.stricter(Policy()) == one


@given(policies, policies)
def test_two_are_asked_where_either_policy_asks(one: Policy, two: Policy) -> None:
    within_s = asked_within_s([one, two])
    assert (within_s > 0) is (one.accept_within_s > 0 or two.accept_within_s > 0)
    assert all(0 < within_s <= x.accept_within_s for x in (one, two) if x.accept_within_s)


@pytest.mark.parametrize(
    "values",
    [
        {"accept_within_s": 61.0},
        {"starvation_bound_s": -1.0},
        {"skip_within_s": math.nan},
        {"cool_down": 0.5},
        {"cool_down": math.inf},
    ],
)
def test_a_value_that_cannot_be_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(TableRefused) as refused:
        Policy(**values)  # type: ignore[arg-type]
    assert (refused.value.reason, refused.value.where) == ("POLICY_VALUE", *values)


@pytest.mark.parametrize(
    ("laxer", "reason"),
    [
        ({PolicySet.STRICT: Policy()}, "POLICY_LAXER"),
        ({PolicySet.GUARDED: Policy(overflow=False)}, "POLICY_LAXER"),
    ],
)
def test_a_stricter_set_asks_for_no_less(laxer: dict[PolicySet, Policy], reason: str) -> None:
    with pytest.raises(TableRefused) as refused:
        Policies(TABLE, dict(POLICIES.sets) | laxer)
    assert refused.value.reason == reason


def test_every_set_has_values() -> None:
    for missing in PolicySet:
        sets = {one: Policy() for one in PolicySet if one is not missing}
        with pytest.raises(TableRefused, match="no values"):
            Policies(Territories(TABLE.areas, ()), sets)


def test_a_longer_pause_by_policy() -> None:
    rules = FaultRules(skip_within_s=5.0, cool_down=2.0)
    for count, rule in product((1, 4, 10**6), (FaultRules(), rules)):
        assert cool_down_s(count, rule) == cool_down_s(count) * rule.cool_down
    assert cool_down_s(10**6, rules) == 2 * LONGEST_S
