"""Draws the reliability curve of the mutual-interest model. Matplotlib is a requirement of
development only: whoever runs the models never needs it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence


def reliability_svg(fifths: Sequence[Mapping[str, float]], rate: float) -> bytes:
    """An SVG: said against happened of each fifth of the pairs, with the diagonal and the constant.

    `fifths` as in figures.reliability, `rate` the share of pairs who like each other."""
    import matplotlib
    from matplotlib.figure import Figure

    said, happened, low, high = (
        [fifth[name] for fifth in fifths] for name in ("said", "happened", "low", "high")
    )
    below = [h - bottom for h, bottom in zip(happened, low, strict=True)]
    above = [top - h for h, top in zip(happened, high, strict=True)]
    ends = (min(low) - 0.01, max(high) + 0.01)
    figure = Figure(figsize=(4.5, 4.0), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(ends, ends, color="0.7", linewidth=1, label="honest")
    axes.axhline(rate, color="0.7", linewidth=1, linestyle=":", label="constant")
    axes.errorbar(said, happened, yerr=[below, above], fmt="o-", capsize=3, label="fifths of pairs")
    axes.set(xlabel="said", ylabel="happened", xlim=ends, ylim=ends)
    axes.legend(loc="upper left", frameon=False)
    drawn = io.BytesIO()
    # Without these the same figures give another file each time.
    with matplotlib.rc_context({"svg.hashsalt": "inyeon", "svg.fonttype": "none"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()
