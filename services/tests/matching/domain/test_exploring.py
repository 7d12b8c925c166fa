"""Exploration: the same wave chooses alike, shares are kept, and chances of pairs are exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.matching.domain.exploring import (
    Choice,
    Exploration,
    ExplorationRefused,
    mostly,
    pair_chances,
    uniform,
)

pytestmark = pytest.mark.unit

SHARES = (("linear-1", 0.7), ("b", 0.2), ("c", 0.1))


def test_shares_are_kept_and_logged_exactly() -> None:
    exploration, waves = Exploration("e", SHARES), 20_000
    chosen = [exploration.choose(seed) for seed in range(waves)]
    for version, share in SHARES:
        counted = chosen.count(Choice(version, share))
        assert counted / waves == pytest.approx(share, abs=4 * (share * (1 - share) / waves) ** 0.5)
    assert {choice.version for choice in chosen} == {version for version, _ in SHARES}


@given(st.integers(0, 2**63), st.text(min_size=1, max_size=20))
def test_a_wave_always_chooses_alike(seed: int, name: str) -> None:
    exploration = Exploration(name, SHARES)
    choice = exploration.choose(seed)
    assert choice == Exploration(name, SHARES).choose(seed)
    assert choice.propensity == exploration.propensity(choice.version)


def test_another_name_draws_anew() -> None:
    ours = [Exploration("e", SHARES).choose(seed).version for seed in range(200)]
    theirs = [Exploration("f", SHARES).choose(seed).version for seed in range(200)]
    assert ours != theirs and Exploration("e", SHARES).propensity("d") == 0.0


def test_numbers_are_the_same_on_every_machine() -> None:
    assert uniform("inyeon") == 0.5297144040202053
    assert all(0.0 <= uniform(str(seed)) < 1.0 for seed in range(1_000))


def test_the_last_version_takes_what_rounding_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inyeon.matching.domain.exploring.uniform", lambda _: 1 - 2**-53)
    third = 1 / 3 - 1e-10
    exploration = Exploration("e", (("a", third), ("b", third), ("c", third)))
    assert exploration.choose(1) == Choice("c", third)


def test_most_waves_go_by_the_usual_version() -> None:
    assert mostly("e", "a", (), 0.1).shares == (("a", 1.0),)
    shares = dict(mostly("e", "a", ("b", "c"), 0.1).shares)
    assert shares == pytest.approx({"a": 0.9, "b": 0.05, "c": 0.05})


@pytest.mark.parametrize(
    ("name", "shares", "field"),
    [
        ("", SHARES, "name"),
        ("e" * 65, SHARES, "name"),
        ("e", (), "shares"),
        ("e", (("a", 0.5), ("a", 0.5)), "shares"),
        ("e", tuple((f"v{n}", 1 / 17) for n in range(17)), "shares"),
        ("e", (("a", 0.5), ("b", 0.4)), "shares"),
        ("e", (("a", 0.9995), ("b", 0.0005)), "shares.b"),
        ("e", (("a", float("nan")),), "shares.a"),
        ("e", (("a", 1.5), ("b", -0.5)), "shares.a"),
    ],
)
def test_shares_that_cannot_be_are_refused(
    name: str, shares: tuple[tuple[str, float], ...], field: str
) -> None:
    with pytest.raises(ExplorationRefused) as found:
        Exploration(name, shares)
    assert found.value.field == field and found.value.reason


def test_a_pair_that_several_versions_make_has_the_sum_of_their_shares() -> None:
    pairs = {"linear-1": [(0, 1), (2, 3)], "b": [(0, 1), (0, 1)], "d": [(8, 9)]}
    chances = pair_chances(Exploration("e", SHARES), pairs)
    assert chances == pytest.approx({(0, 1): 0.9, (2, 3): 0.7})


def test_chances_of_pairs_are_how_often_they_are_made() -> None:
    """Every wave makes the pairs of its version: over many each pair is as frequent as said."""
    exploration = Exploration("e", SHARES)
    pairs = {"linear-1": [(0, 1), (2, 3)], "b": [(0, 3), (1, 2)], "c": [(0, 1), (4, 5)]}
    made: dict[tuple[int, int], int] = {}
    for seed in range(20_000):
        for pair in pairs[exploration.choose(seed).version]:
            made[pair] = made.get(pair, 0) + 1
    chances = pair_chances(exploration, pairs)
    assert {pair: count / 20_000 for pair, count in made.items()} == pytest.approx(
        chances, abs=0.015
    )
