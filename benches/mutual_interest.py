"""How well the mutual-interest model does on evenings it never saw, beside always the base rate.

    python benches/mutual_interest.py [--json]

The speed-dating survey in the data folder (INYEON_DATA), one wave left out in turn; intervals by
bootstrap over waves, every resample with its exact chance. Losses are in units of 0.001; the
bars stand on the upper end of the intervals: below 0 the constant is excluded.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from figures import Row, report

from inyeon_models import mutual_interest_figures as figures
from inyeon_models import paths
from inyeon_models.errors import ModelsError
from inyeon_models.mutual_interest import Exact
from inyeon_models.mutual_interest_data import Survey, read_survey
from inyeon_models.mutual_interest_train import (
    PUBLISHED,
    SHIPPED_RECIPE,
    Recipe,
    base_rates,
    left_out,
)

BENCH = "mutual_interest"
MILLI = 1e3
STRONGER = Recipe(strength=0.45)


def rows(data: Path | None = None) -> list[Row]:
    """All figures, about 5 s. Raises SourceError where the survey is absent or broken."""
    survey = read_survey(data or paths.default_data())
    said, constant = left_out(survey, SHIPPED_RECIPE), base_rates(survey)
    return [
        *_compared(survey, said, constant, "log loss", 0.0),
        *_compared(survey, said, constant, "Brier", 0.0),
        *_reliability(survey, said),
        *_compared(survey, left_out(survey, STRONGER), constant, "log loss, prior 0.45", None)[1:],
        *(
            Row(BENCH, f"published, nine waves: {name}", value * MILLI, "1e-3", None, "lower")
            for name, value in PUBLISHED.items()
        ),
    ]


def _compared(
    survey: Survey, said: Exact, constant: Exact, name: str, bar: float | None
) -> list[Row]:
    loss = figures.briers if name == "Brier" else figures.log_losses
    ours, theirs = loss(survey.both, said), loss(survey.both, constant)
    gain = figures.gain(ours - theirs, survey.wave)
    return [
        Row(BENCH, f"{name}, constant", float(theirs.mean()) * MILLI, "1e-3", None, "lower"),
        Row(BENCH, f"{name}, ours", float(ours.mean()) * MILLI, "1e-3", None, "lower"),
        Row(BENCH, f"{name}, ours - constant", gain.mean * MILLI, "1e-3", None, "lower"),
        Row(BENCH, f"{name}, lower end", gain.low * MILLI, "1e-3", None, "lower"),
        Row(BENCH, f"{name}, upper end", gain.high * MILLI, "1e-3", bar, "lower"),
    ]


def _reliability(survey: Survey, said: Exact) -> list[Row]:
    found = [
        Row(
            BENCH,
            "calibration slope (1 honest, above it shy)",
            figures.slope(survey.both, said),
            "",
        )
    ]
    for number, fifth in enumerate(figures.reliability(survey.both, said), start=1):
        found.append(Row(BENCH, f"fifth {number}: said", 100 * fifth["said"], "%"))
        found.append(Row(BENCH, f"fifth {number}: happened", 100 * fifth["happened"], "%"))
    return found


def main() -> int:
    """0 when every bar is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    given = parser.parse_args()
    try:
        return report(rows(), as_json=given.json)
    except ModelsError as error:
        raise SystemExit(f"mutual_interest: {error}") from error


if __name__ == "__main__":
    raise SystemExit(main())
