"""From data to aggregates: the shipped ones again from the data, and each rule on a few rows."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inyeon.matching.simulation.calibrating import calibrate, read_speaks, sessions_of
from inyeon.matching.simulation.calibration import HOURS, read, shipped
from inyeon.matching.simulation.leaving import WATCHED_S, waits_of, weibull
from inyeon.matching.simulation.refusals import SimulationRefused

pytestmark = pytest.mark.unit

PACKAGE = "inyeon.matching.simulation"


def shipped_text() -> str:
    return files(PACKAGE).joinpath("calibration.json").read_text("utf-8")


def test_the_shipped_aggregates_come_from_the_data(reciprocal: Path) -> None:
    assert json.dumps(calibrate(reciprocal), indent=2) + "\n" == shipped_text()


def test_they_hold_what_is_known_of_the_data() -> None:
    facts, data = json.loads(shipped_text()), shipped()
    assert facts["reciprocity"]["directed_pairs"] == 20_296
    assert data.answered == pytest.approx(0.636, abs=5e-4)
    assert data.mutual == pytest.approx(0.165, abs=5e-3)  # the survey's figure over all waves
    assert len(data.hour_share) == HOURS and sum(data.hour_share) == pytest.approx(1)
    assert "en" not in data.second_languages, "every profile lists it because the form did"


def test_no_share_speaks_of_a_few_people() -> None:
    people = json.loads(shipped_text())["people"]
    assert min(people["second_languages"].values()) * people["profiles"] >= 50


def test_languages_are_read_without_their_traps() -> None:
    speaks = "english (fluently), Spanish (poorly), c++ (fluently), lisp, french, sign language"
    assert list(read_speaks(speaks)) == [("es", "2"), ("fr", "")]
    assert list(read_speaks("")) == []


def test_half_an_hour_of_silence_ends_a_session() -> None:
    messages = np.array([[1, 2, 0], [1, 3, 1800], [1, 2, 3601], [4, 1, 5]])
    starts, partners = sessions_of(messages)
    assert sorted(zip(starts.tolist(), partners.tolist(), strict=True)) == [
        (0, 2),
        (5, 1),
        (3601, 1),
    ]


def test_a_small_folder_is_calibrated(small_folder: Path) -> None:
    found: Any = calibrate(small_folder)
    assert found["reciprocity"] == {"directed_pairs": 3, "share": round(2 / 3, 4)}
    assert found["mutual"] == {"meetings": 2, "share": 0.5, "directed_yes": 0.75}
    assert found["conversations"]["both_sided"] == 1
    assert found["conversations"]["log_mean"] == pytest.approx(np.log(60), abs=1e-4)
    assert found["people"]["female"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["people"]["decades"] == {"20s": 0.66667, "60+": 0.33333}
    assert found["people"]["more_languages"] == [0.5, 0.5, 0.0, 0.0, 0.0]


@pytest.fixture
def small_folder(tmp_path: Path) -> Path:
    day = 1082439600  # noon on the campus
    rows = [f"1 2 {day}", f"2 1 {day + 60}", f"3 1 {day + 90_000}"]
    (tmp_path / "CollegeMsg.txt").write_text("\n".join(["src dst time", *rows]) + "\n")
    pairs = ["dec,match", "1,1", "1,1", "1,0", "0,0"]
    (tmp_path / "speed_dating_waves_1_11.csv").write_text("\n".join(pairs) + "\n")
    (tmp_path / "okcupid").mkdir()
    profiles = [
        "age,orientation,sex,speaks",
        '22,straight,m,"english, c++ (fluently)"',
        '117,gay,f,"english, spanish (okay)"',
        "29,straight,m,",
    ]
    with zipfile.ZipFile(tmp_path / "okcupid" / "profiles_revised.csv.zip", "w") as folder:
        folder.writestr("profiles_revised.csv", "\n".join(profiles) + "\n")
    return tmp_path


Change = Callable[[Any], Any]


def _without(section: str, name: str) -> Change:
    def change(facts: Any) -> Any:
        del facts[section][name]
        return facts

    return change


def _with(section: str, name: str, value: object) -> Change:
    def change(facts: Any) -> Any:
        facts[section][name] = value
        return facts

    return change


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda _: None, "format"),
        (lambda facts: {**facts, "format": 2}, "format"),
        (lambda facts: {k: v for k, v in facts.items() if k != "people"}, "people"),
        (_without("arrivals", "bin_s"), "bin_s"),
        (_with("arrivals", "hour_share", [1.0]), "arrivals.hour_share"),
        (_with("arrivals", "burst_shape", float("nan")), "arrivals.burst_shape"),
        (_with("mutual", "share", True), "mutual.share"),
        (_with("people", "levels", {}), "people.levels"),
        (_with("people", "levels", {"2": 0}), "people.levels"),
        (_with("people", "decades", {"20s": -1}), "people.decades.20s"),
    ],
)
def test_a_broken_file_is_refused_by_field(change: Change, field: str) -> None:
    with pytest.raises(SimulationRefused) as refused:
        read(change(json.loads(shipped_text())))
    assert refused.value.field == field


def test_who_opens_with_another_before_the_answer_has_left() -> None:
    rows = [
        [1, 2, 0],  # answered after 30 s
        [2, 1, 30],
        [1, 3, 100],  # left after 50 s
        [9, 1, 120],  # a stranger's message is no answer, and an opening of 9 with 1
        [1, 4, 150],  # nobody answers: watched for half an hour
        [1, 2, 160],  # goes on with 2, which is no opening
        [4, 1, 150 + WATCHED_S + 1],
    ]
    left, watched = waits_of(np.array(rows))
    assert left.tolist() == [50.0]
    assert watched.tolist() == [30.0, float(WATCHED_S), float(WATCHED_S)]


@pytest.mark.parametrize(("shape", "scale_s"), [(0.5, 300.0), (1.0, 60.0), (2.0, 20.0)])
def test_the_shape_of_leaving_is_found_again_where_many_were_only_watched(
    shape: float, scale_s: float
) -> None:
    times = scale_s * np.random.default_rng(4).weibull(shape, 20_000)
    until = 2.0 * scale_s
    found = weibull(times[times < until], np.full(int((times >= until).sum()), until))
    assert np.allclose(found, (shape, scale_s), rtol=0.03)
