"""From a run to figures. All of them are SIMULATED; times in seconds, shares in [0, 1]."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.simulation.crowd import Visitor
from inyeon.matching.simulation.world import Fate, Met, Run, Seek

SMALLEST_GROUP = 20
"""Groups with fewer tickets are no group: their figures would be chance."""

Facts = dict[str, object]
Of = Callable[[Visitor], str]

GROUPS: Mapping[str, Of] = {
    "language": lambda visitor: visitor.wish.languages[0].tag,
    "gender": lambda visitor: visitor.person.gender.name.lower(),
    "age": lambda visitor: visitor.decade,
}
"""Age is a placebo among adults: nothing that pairs people sees it, so its differences show how
much is chance.
"""


def figures(run: Run, crowd: Sequence[Visitor], warm_up_s: float) -> Facts:
    """What one policy gave, of tickets made after the warm-up that have ended."""
    counted = [
        place
        for place, seek in enumerate(run.seeks)
        if seek.began >= warm_up_s and seek.fate is not Fate.OPEN
    ]
    seeks = [run.seeks[place] for place in counted]
    inside = set(counted)
    met = [one for one in run.meetings if inside.issuperset(one.seeks)]
    shared = {name: _by(seeks, crowd, of) for name, of in GROUPS.items()}
    return {
        "tickets": len(seeks),
        "open_at_the_end": sum(
            seek.began >= warm_up_s and seek.fate is Fate.OPEN for seek in run.seeks
        ),
        "deepest_pool": run.deepest,
        "passes": run.passes,
        **summary(seeks),
        **_quality(met),
        "mutual_per_100_tickets": _round(
            100 * sum(one.meeting.mutual for one in met) / max(len(seeks), 1)
        ),
        "broken_gates": sum(not one.right or one.within_horizon for one in run.meetings),
        "gini": {
            "wait_by_person": gini(np.array([_wait(one) for one in seeks])),
            "exposure_by_person": gini(_exposure(run, counted)),
            **{
                f"wait_by_{name}": _gini_of(groups, "wait_mean_s")
                for name, groups in shared.items()
            },
            **{
                f"exposure_by_{name}": _gini_of(groups, "matched_share")
                for name, groups in shared.items()
            },
        },
        "groups": {
            name: {group: summary(own) for group, own in groups.items() if _enough(own)}
            for name, groups in shared.items()
        },
    }


def summary(seeks: Sequence[Seek]) -> Facts:
    """Of some tickets: who was matched, and waits until the match."""
    count = max(len(seeks), 1)
    waits = np.array([_wait(one) for one in seeks if one.fate is Fate.MATCHED])
    percentiles = np.percentile(waits, [50, 90, 99]).tolist() if len(waits) else [None] * 3
    p50, p90, p99 = (None if one is None else _round(one) for one in percentiles)
    return {
        "count": len(seeks),
        "matched_share": _round(sum(one.fate is Fate.MATCHED for one in seeks) / count),
        "left_share": _round(sum(one.fate is Fate.LEFT for one in seeks) / count),
        "shed_share": _round(sum(one.fate is Fate.SHED for one in seeks) / count),
        "wait_mean_s": _round(sum(map(_wait, seeks)) / count),
        "wait_p50_s": p50,
        "wait_p90_s": p90,
        "wait_p99_s": p99,
    }


def gini(values: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> float:
    """0: everybody has the same; towards 1: one has all. (n,) values >= 0 with weights > 0; 0 for
    nobody or nothing. Area between the Lorenz curve and the diagonal, doubled.
    """
    if len(values) == 0 or values.sum() <= 0:
        return 0.0
    order = np.argsort(values, kind="stable")
    people = np.ones(len(values)) if weights is None else weights[order]
    held = np.concatenate([[0.0], np.cumsum(values[order] * people)])
    share = np.concatenate([[0.0], np.cumsum(people)])
    held /= held[-1]  # first, or the smallest numbers vanish when halved
    area = float(((held[1:] + held[:-1]) / 2 * np.diff(share)).sum())
    return _round(1 - 2 * area / float(share[-1]))


def _quality(met: Sequence[Met]) -> Facts:
    lengths = np.array([one.meeting.length_s for one in met])
    count = max(len(met), 1)
    return {
        "meetings": len(met),
        "similarity_mean": _round(sum(one.similarity for one in met) / count),
        "answered_share": _round(sum(one.meeting.answered for one in met) / count),
        "mutual_share": _round(sum(one.meeting.mutual for one in met) / count),
        "talk_mean_s": _round(float(lengths.mean())) if len(met) else None,
        "talk_median_s": _round(float(np.median(lengths))) if len(met) else None,
        "rematches": sum(one.again > 0 for one in met),
    }


def _by(seeks: Sequence[Seek], crowd: Sequence[Visitor], of: Of) -> dict[str, list[Seek]]:
    groups: dict[str, list[Seek]] = defaultdict(list)
    for seek in seeks:
        groups[of(crowd[seek.who])].append(seek)
    return dict(sorted(groups.items()))


def _gini_of(groups: Mapping[str, Sequence[Seek]], figure: str) -> float:
    kept = [own for own in groups.values() if _enough(own)]
    values = [float(str(summary(own)[figure])) for own in kept]
    return gini(np.array(values), np.array([float(len(own)) for own in kept]))


def _exposure(run: Run, counted: Sequence[int]) -> NDArray[np.float64]:
    found: dict[int, int] = defaultdict(int)
    for place in counted:
        found[run.seeks[place].who] += run.seeks[place].fate is Fate.MATCHED
    return np.array(list(found.values()), np.float64)


def _enough(seeks: Sequence[Seek]) -> bool:
    return len(seeks) >= SMALLEST_GROUP


def _wait(seek: Seek) -> float:
    return seek.ended - seek.began


def _round(value: float) -> float:
    return round(float(value), 4)
