"""Tables of an operator: read, or refused with file, line and reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from inyeon.matching.adapters.territory_files import MAX_BYTES, read_territories
from inyeon.matching.data import COUNTRIES
from inyeon.runtime.errors import SettingsRefused

pytestmark = pytest.mark.unit

HEAD = "country,name,pool,policy_set,age_of_majority,languages\n"
POOLS_TEXT = "pool,neighbours\neast,west\nwest,east\nanywhere,\n"
KOREA = "KR,Korea (South),east,guarded,19,ko\n"


def written(folder: Path, countries: str | bytes, pools: str = POOLS_TEXT) -> tuple[Path, Path]:
    one, other = folder / "countries.csv", folder / "pools.csv"
    one.write_bytes(countries if isinstance(countries, bytes) else countries.encode())
    other.write_text(pools)
    return one, other


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    table = read_territories(*written(tmp_path, HEAD + KOREA))
    assert table.of("KR").age_of_majority == 19
    assert table.pools == ("east", "west", "anywhere")
    assert table.neighbours("east") == ("west",)


@pytest.mark.parametrize(
    ("countries", "reason", "place"),
    [
        (HEAD + KOREA.replace("19", "nineteen"), "AGE_OF_MAJORITY", "countries.csv:2"),
        (HEAD + KOREA.replace("19", "17"), "AGE_OF_MAJORITY", "countries.csv:2"),
        (HEAD + KOREA.replace("guarded", "lax"), "POLICY_SET", "countries.csv:2"),
        (HEAD + KOREA.replace("KR", ""), "COUNTRY_UNKNOWN", "countries.csv:2"),
        (HEAD + KOREA + "XY,too short\n", "COLUMNS", "countries.csv:3"),
        (HEAD + KOREA.replace("\n", ",more\n"), "COLUMNS", "countries.csv:2"),
        ("code,name\n", "COLUMNS", "countries.csv:1"),
        ("", "COLUMNS", "countries.csv:1"),
        (HEAD + KOREA + KOREA, "COUNTRY_REPEATED", "countries.csv"),
        (HEAD + KOREA.replace("east", "nowhere"), "POOL_UNKNOWN", "countries.csv"),
        (HEAD + 'KR,"Korea" South,east,guarded,19,ko\n', "NOT_CSV", "countries.csv:2"),
        (b"\xff\xfe", "UNREADABLE", "countries.csv"),
        (b" " * (MAX_BYTES + 1), "TOO_LARGE", "countries.csv"),
    ],
)
def test_a_broken_table_is_refused_with_its_place(
    tmp_path: Path, countries: str | bytes, reason: str, place: str
) -> None:
    with pytest.raises(SettingsRefused) as refused:
        read_territories(*written(tmp_path, countries))
    assert refused.value.reason == reason
    assert refused.value.field.endswith(place)


def test_broken_pools_are_refused_with_their_place(tmp_path: Path) -> None:
    files = written(tmp_path, HEAD, POOLS_TEXT.replace("west,east", "west,west"))
    with pytest.raises(SettingsRefused, match=r"pools\.csv:3") as refused:
        read_territories(*files)
    assert refused.value.reason == "NEIGHBOURS"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused) as refused:
        read_territories(COUNTRIES, tmp_path / "nowhere.csv")
    assert refused.value.reason == "UNREADABLE"
