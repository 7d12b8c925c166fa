"""Plots of a simulation as SVG text, drawn without a screen."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Results = Sequence[Mapping[str, Any]]

SIZE_IN = (7.0, 4.4)
SALT = "inyeon"
"""Names inside the drawing hang on it, so that the same facts give the same bytes."""
MARKERS = ("o", "s", "^", "v", "D", "P", "X", "<", ">", "p", "*")
WATERMARK = "SIMULATED"


def match_against_wait(results: Results) -> str:
    """Share of tickets matched against the wait of nine in ten: up and left is better."""
    found = [(one, one["wait_p90_s"], 100 * one["matched_share"]) for one in results]
    points = [(_name(one), x, y) for one, x, y in found if x is not None]
    figure, axes = _axes("wait until the match, 90th percentile (s)", "tickets matched (%)")
    _scatter(axes, points)
    _frontier(axes, [(x, y) for _, x, y in points])
    return _svg(figure)


def liking_against_wait(results: Results) -> str:
    """Share of meetings that both liked against the wait of nine in ten: what patience buys."""
    found = [(one, one["wait_p90_s"], 100 * one["mutual_share"]) for one in results]
    points = [(_name(one), x, y) for one, x, y in found if x is not None]
    figure, axes = _axes("wait until the match, 90th percentile (s)", "both liked it (%)")
    _scatter(axes, points)
    _frontier(axes, [(x, y) for _, x, y in points])
    return _svg(figure)


def fairness_against_yield(results: Results) -> str:
    """Gini of waits by language against meetings that both liked: down and right is better."""
    points = [
        (_name(one), one["mutual_per_100_tickets"], one["gini"]["wait_by_language"])
        for one in results
    ]
    figure, axes = _axes("meetings that both liked, for 100 tickets", "Gini of waits by language")
    _scatter(axes, points)
    _frontier(axes, [(-x, -y) for _, x, y in points], mirrored=True)
    return _svg(figure)


def waits_by_group(result: Mapping[str, Any], group: str) -> str:
    """Median and 90th percentile of waits of one policy, by group."""
    groups = result["groups"][group]
    names = [name for name, own in groups.items() if own["wait_p50_s"] is not None]
    figure, axes = _axes(f"{group} ({_name(result)})", "wait until the match (s)")
    for shift, figure_name in ((-0.2, "wait_p50_s"), (0.2, "wait_p90_s")):
        heights = [groups[name][figure_name] for name in names]
        places = [place + shift for place in range(len(names))]
        axes.bar(places, heights, 0.38, label="median" if shift < 0 else "90th percentile")
    axes.set_xticks(range(len(names)), [f"{name}\nn={groups[name]['count']}" for name in names])
    axes.legend(frameon=False)
    return _svg(figure)


def _name(result: Mapping[str, Any]) -> str:
    return str(result["policy"]["name"])


def _axes(across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE_IN, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.25)
    axes.text(0.5, 0.5, WATERMARK, transform=axes.transAxes, ha="center", va="center",
              fontsize=34, color="0.92", zorder=0)  # fmt: skip
    return figure, axes


def _scatter(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    # A legend, not labels at the points: alike policies lie on one another.
    for number, (name, x, y) in enumerate(points):
        axes.scatter([x], [y], s=42, zorder=3, marker=MARKERS[number % len(MARKERS)], label=name)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)


def _frontier(axes: Axes, points: Sequence[tuple[float, float]], mirrored: bool = False) -> None:
    """Joins the points that no other one beats in both: less across and more up is better."""
    best, kept = float("-inf"), []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if y > best:
            best = y
            kept.append((-x, -y) if mirrored else (x, y))
    across, up = zip(*kept, strict=True) if kept else ((), ())
    axes.plot(across, up, linewidth=1.4, linestyle="--", color="0.35", zorder=2)


def _svg(figure: Figure) -> str:
    written = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": SALT, "svg.fonttype": "none"}):
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": "Inyeon"})
    text = written.getvalue()
    return text[text.index("<svg") :]
