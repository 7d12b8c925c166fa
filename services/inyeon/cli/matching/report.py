"""The report of a simulation: one HTML file with everything in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from inyeon.cli.matching import plots

SHOWN_POLICY = "service"
"""Whose waits by group are drawn; the first policy where it did not run."""


def html_report(facts: Mapping[str, Any]) -> str:
    """Self-contained: no script, no font and no picture from elsewhere."""
    pages = Environment(
        loader=PackageLoader("inyeon.cli.matching", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    results = facts["policies"]
    shown = next((one for one in results if one["policy"]["name"] == SHOWN_POLICY), results[0])
    drawn = {
        "frontier": plots.match_against_wait(results),
        "liking": plots.liking_against_wait(results),
        "fairness": plots.fairness_against_yield(results),
        "languages": plots.waits_by_group(shown, "language"),
        "genders": plots.waits_by_group(shown, "gender"),
    }
    # Drawn here from numbers; the labels among them are escaped by the drawing library.
    safe = {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704
    return pages.get_template("report.html").render(facts=facts, shown=shown, plots=safe)
