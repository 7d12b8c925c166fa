"""Scenarios and policies that come along are read, and impossible ones are refused by field."""

from __future__ import annotations

import dataclasses
import json
from importlib.resources import files
from typing import Any

import pytest

from inyeon.matching.settings import MatchingSettings
from inyeon.matching.simulation.refusals import SimulationRefused
from inyeon.matching.simulation.scenario import (
    Scenario,
    read_policies,
    read_scenario,
    scenario_names,
    shipped_policies,
    shipped_scenario,
)

pytestmark = pytest.mark.unit


def evening() -> dict[str, Any]:
    path = files("inyeon.matching.simulation").joinpath("scenarios", "evening.json")
    facts: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return facts


@pytest.mark.parametrize("name", scenario_names())
def test_scenarios_that_come_along_are_read(name: str) -> None:
    found = shipped_scenario(name)
    assert found.name == name and sum(found.languages.values()) == pytest.approx(1)


def test_all_four_come_along() -> None:
    assert scenario_names() == ["evening", "global-8-languages", "overload-10x", "small-town"]


def test_the_service_policy_is_what_the_service_does() -> None:
    own = next(one for one in shipped_policies() if one.name == "service")
    settings = MatchingSettings()
    assert own.kind == "waves"
    assert own.wave_every_s >= settings.wave_every_s, "looking less often, it takes a tenth"
    assert (own.min_similarity, own.relaxed_after_s) == (
        settings.min_similarity,
        settings.relaxed_after_s,
    )


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("minors", 1.1, "minors"),
        ("minors", "many", "minors"),
        ("arrivals_per_s", -1, "arrivals_per_s"),
        ("arrivals_per_s", 9000, "arrivals_per_s"),
        ("patience_s", float("inf"), "patience_s"),
        ("max_waiting", 1, "max_waiting"),
        ("warm_up_s", 1200, "warm_up_s"),
        ("languages", {}, "languages"),
        ("languages", {"English": 1}, "languages.English"),
        ("routes", "en-es", "routes"),
        ("routes", ["en-en"], "routes"),
        ("name", "", "name"),
        ("moon", "full", "moon"),
    ],
)
def test_an_impossible_scenario_is_refused_by_field(field: str, value: Any, named: str) -> None:
    with pytest.raises(SimulationRefused) as refused:
        read_scenario({**evening(), field: value})
    assert refused.value.field == named


@pytest.mark.parametrize("name", [one.name for one in dataclasses.fields(Scenario)])
def test_nothing_may_be_missing(name: str) -> None:
    facts = evening()
    del facts[name]
    with pytest.raises(SimulationRefused) as refused:
        read_scenario(facts)
    assert refused.value.field == name


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        ([], "policies"),
        ({}, "policies"),
        ([3], "policies[0]"),
        ([{"name": "a"}, {"name": "a"}], "policies"),
        ([{"name": "a", "speed": 1}], "policies[0].speed"),
        ([{"kind": "waves"}], "policies[0].name"),
        ([{"name": "a", "kind": "magic"}], "policies[0].kind.magic"),
        ([{"name": "a"}, {"name": "b", "wave_every_s": 0}], "policies[1].wave_every_s"),
        ([{"name": "a", "explore": 2}], "policies[0].explore"),
        ([{"name": "a", "easy_from": -1}], "policies[0].easy_from"),
        ([{"name": "a", "leaving_first": "yes"}], "policies[0].leaving_first"),
    ],
)
def test_an_impossible_policy_is_refused_by_field(facts: Any, named: str) -> None:
    with pytest.raises(SimulationRefused) as refused:
        read_policies(facts)
    assert refused.value.field == named


def test_a_scenario_is_an_object() -> None:
    with pytest.raises(SimulationRefused):
        read_scenario([])
