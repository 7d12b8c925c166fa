"""A whole simulation: every policy before the same crowd and the same luck."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from inyeon.matching.domain.scoring import SCORE_VERSION
from inyeon.matching.simulation.calibration import Calibration
from inyeon.matching.simulation.crowd import make_crowd
from inyeon.matching.simulation.figures import Facts, figures
from inyeon.matching.simulation.scenario import Policy, Scenario
from inyeon.matching.simulation.world import World

ASSUMED = (
    "patience, predictability, absence, blocks and filters: numbers of the scenario",
    "likeness raises answers and mutual interest by 2.2 log-odds a unit of cosine",
    "lengths of text conversations stand for lengths of calls; a skip takes 8 s on average",
    "interests lie around 40 topics whose popularity falls as 1 / rank",
)

Progress = Callable[[str, float], None]
"""Hears the policy's name and the share of its run that is done."""


def simulate(
    scenario: Scenario,
    policies: Sequence[Policy],
    data: Calibration,
    seed: int,
    progress: Progress = lambda _name, _share: None,
) -> Facts:
    """Facts for people and machines; the same bytes as JSON for the same arguments."""
    crowd = make_crowd(scenario, data, seed)
    results: list[Facts] = []
    for policy in policies:
        world = World(scenario, crowd, data, policy, seed)
        run = world.run(lambda at, name=policy.name: progress(name, at / scenario.duration_s))  # type: ignore[misc]
        found = figures(run, crowd, scenario.warm_up_s)
        results.append({"policy": dataclasses.asdict(policy), **found})
        progress(policy.name, 1.0)
    return {
        "simulated": True,
        "scenario": {**dataclasses.asdict(scenario), "languages": dict(scenario.languages)},
        "seed": seed,
        "score_version": SCORE_VERSION,
        "people": len(crowd),
        "assumed": list(ASSUMED),
        "policies": results,
    }
