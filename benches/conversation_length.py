"""How well conversation lengths are predicted, on simulated evenings never seen (session_world.py).

    python benches/conversation_length.py [--json]

SIMULATED: it shows that the model learns what the simulation holds and is calibrated, and nothing
about real people. Learned on some evenings, judged on others; the constant is the first ones' mean.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

import numpy as np
from figures import Row, report
from session_world import Exact, Talk, evening

from inyeon.matching.domain.lengths import LengthModel, calibration, fit, shares
from inyeon.matching.domain.matches import EndReason

BENCH = "conversation_length_simulated"
LEARNED, JUDGED = range(20, 26), range(30, 40)
STALENESS_S = 2.0
MILLI = 1e3


def rows() -> list[Row]:
    """Squared errors to the constant, with a normal interval over evenings, and calibration."""
    taught = [talk for seed in LEARNED for talk in evening(seed, STALENESS_S)]
    model, constant = fit(features(taught), reached(taught)), float(reached(taught).mean())
    gains, said, happened = [], [], []
    for seed in JUDGED:
        talks = evening(seed, STALENESS_S)
        guess, share = model.share(features(talks)), reached(talks)
        gains.append(float(((guess - share) ** 2 - (constant - share) ** 2).mean()))
        said.append(guess)
        happened.append(share)
    return [
        *_judged(gains, np.concatenate(said), np.concatenate(happened), constant),
        *_weights(model),
    ]


def _judged(gains: list[float], said: Exact, share: Exact, constant: float) -> list[Row]:
    mean, spread = float(np.mean(gains)), float(np.std(gains, ddof=1))
    half = 1.96 * spread / math.sqrt(len(gains))
    slope, gap = calibration(said, share)
    base = float(((constant - share) ** 2).mean())
    return [
        Row(BENCH, "squared error, constant", MILLI * base, "1e-3", None, "lower"),
        Row(BENCH, "ours - constant", MILLI * mean, "1e-3", None, "lower"),
        Row(BENCH, "its upper end, 95 %", MILLI * (mean + half), "1e-3", 0.0, "lower"),
        Row(BENCH, "explained", -100 * mean / base, "%"),
        Row(BENCH, "calibration slope, off 1", abs(slope - 1.0), "", 0.2, "lower"),
        Row(BENCH, "calibration gap", 100 * abs(gap), "% of cap", 3.0, "lower"),
    ]


def _weights(model: LengthModel) -> list[Row]:
    names = ("similarity", "session", "usual")
    places = (0, 3, 4)
    return [
        Row(BENCH, f"weight of {name}", model.weights[place], "a deviation")
        for name, place in zip(names, places, strict=True)
    ]


def features(talks: Sequence[Talk]) -> Exact:
    """(n, 6) in the order of FEATURES; the simulated people share one language."""
    table = [
        (t.similarity, 1.0, 0.0, t.session, sum(t.usual) / 2, abs(t.usual[0] - t.usual[1]))
        for t in talks
    ]
    return np.asarray(table)


def reached(talks: Sequence[Talk]) -> Exact:
    """(n,) shares of the cap; everybody left by themselves."""
    lengths = np.array([talk.length_s for talk in talks])
    return shares(lengths, np.full(len(talks), int(EndReason.LEFT)))[0]


def main() -> int:
    """0 when every bar is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    return report(rows(), as_json=parser.parse_args().json)


if __name__ == "__main__":
    raise SystemExit(main())
