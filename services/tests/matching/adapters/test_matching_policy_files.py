"""Values of policy sets from an operator's file: read, or refused with file, line and reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from inyeon.matching.adapters.policy_files import read_policies
from inyeon.matching.adapters.territory_files import read_territories
from inyeon.matching.data import COUNTRIES, POLICY_SETS, POOLS
from inyeon.runtime.errors import SettingsRefused

pytestmark = pytest.mark.unit

TABLE = read_territories(COUNTRIES, POOLS)
TEXT = POLICY_SETS.read_text("utf-8")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "sets.csv"
    path.write_text(TEXT.replace("strict,20", "strict,12.5"))
    assert read_policies(path, TABLE).of("").accept_within_s == 12.5


@pytest.mark.parametrize(
    ("old", "new", "reason", "place"),
    [
        ("strict,20", "strict,soon", "POLICY_VALUE", "sets.csv:4"),
        ("strict,20", "strict,99", "POLICY_VALUE", "sets.csv:4"),
        ("strict,20", "strict,nan", "POLICY_VALUE", "sets.csv:4"),
        ("2,no", "2,perhaps", "POLICY_VALUE", "sets.csv:4"),
        ("strict,20", "lax,20", "POLICY_SET", "sets.csv:4"),
        ("strict,20", "guarded,20", "POLICY_REPEATED", "sets.csv:4"),
        ("guarded,0,45,yes,3", "guarded,0,45,yes,9", "POLICY_LAXER", "sets.csv"),
        ("strict,20,30,yes,5,2,no\n", "", "POLICY_SET", "sets.csv"),
        ("minors", "children", "COLUMNS", "sets.csv:1"),
    ],
)
def test_a_broken_file_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, reason: str, place: str
) -> None:
    path = tmp_path / "sets.csv"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(SettingsRefused) as refused:
        read_policies(path, TABLE)
    assert refused.value.reason == reason
    assert refused.value.field.endswith(place)
