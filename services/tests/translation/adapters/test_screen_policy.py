"""Policy files of the screen: the shipped one, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inyeon.inference.text_model import NAME
from inyeon.runtime.errors import SettingsRefused
from inyeon.translation.adapters.screen_policy import MAX_BYTES, check_fits, read_screen_policy
from inyeon.translation.data import SCREEN_POLICY
from inyeon.translation.domain.screening import Action
from inyeon_models import paths
from inyeon_models.text_safety import CLASSES, load_head

pytestmark = pytest.mark.unit

GOOD = """
version: "1"
model: m
model_version: "7"
unscreened: mask
rules:
  - {reason: TEXT_INSULT, classes: [offensive], mask: 0.5, withhold: 0.9, escalate: 0.7}
languages:
  ko:
    - {reason: TEXT_INSULT, classes: [offensive], mask: 0.4}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "screen.yaml"
    path.write_text(text, "utf-8")
    return path


def test_the_shipped_policy_is_for_the_shipped_model_and_its_operating_points() -> None:
    policy = read_screen_policy(SCREEN_POLICY)
    head, _ = load_head(paths.TRAINED / "text_safety_head.npz")
    check_fits(policy, NAME, head.version, CLASSES)
    hate, insult = policy.rules
    figures = json.loads((paths.TRAINED / "text_safety_head.json").read_text("utf-8"))
    points = figures["points"]
    assert (hate.mask, hate.escalate) == (points["hate.mask"], points["hate.escalate"])
    assert insult.mask == points["harm.mask"]
    assert hate.withhold is None and policy.unscreened is Action.ALLOW


def test_a_file_is_read(tmp_path: Path) -> None:
    policy = read_screen_policy(written(tmp_path, GOOD))
    assert (policy.model, policy.model_version, policy.unscreened) == ("m", "7", Action.MASK)
    assert policy.rules[0].withhold == 0.9 and policy.languages["ko"][0].mask == 0.4
    again = read_screen_policy(written(tmp_path, GOOD + "# changed\n"))
    assert policy.version.startswith("1+") and again.version != policy.version


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("mask: 0.5", "mask: 0", "greater than 0"),
        ("mask: 0.5", "mask: 1.5", "less than or equal to 1"),
        ("mask: 0.5", "mask: .nan", "finite"),
        ("mask: 0.5", "mask: 0.95", "withhold must not be below mask"),
        ("TEXT_INSULT", "insult", "pattern"),
        ("ko:", "xx:", "none of the 19"),
        ("unscreened: mask", "unscreened: withhold", "unscreened"),
        ('version: "1"', 'version: "1"\nsurprise: 1', "surprise"),
        (GOOD, "[", "flow"),
        (GOOD, "", "valid dictionary"),
        (GOOD, "x" * (MAX_BYTES + 1), "more than"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, old: str, new: str, why: str) -> None:
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(SettingsRefused, match=why) as refused:
        read_screen_policy(path)
    assert refused.value.reason == "SCREEN_POLICY" and str(path) in str(refused.value)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused, match=r"absent\.yaml"):
        read_screen_policy(tmp_path / "absent.yaml")


def test_a_policy_for_another_model_is_refused(tmp_path: Path) -> None:
    policy = read_screen_policy(written(tmp_path, GOOD))
    check_fits(policy, "m", "7", ("offensive", "neither"))
    for model, version in (("m", "8"), ("other", "7")):
        with pytest.raises(SettingsRefused, match="is for m 7"):
            check_fits(policy, model, version, ("offensive", "neither"))
    with pytest.raises(SettingsRefused, match="classes"):
        check_fits(policy, "m", "7", ("hate", "neither"))
