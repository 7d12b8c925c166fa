from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inyeon_models import golden
from inyeon_models.errors import VerifyError

pytestmark = pytest.mark.unit


def test_patterns_are_the_same_bits_everywhere() -> None:
    noise = golden.pattern(0, (1, 2, 2, 3))
    # (1 * 2654435761 mod 2^32) >> 8, over 2^24
    assert float(noise.ravel()[0]) == np.float32((2654435761 >> 8) / (1 << 24))
    assert float(golden.pattern(1, (400,))[290]) == np.float32(290 / 291)
    assert float(golden.pattern(1, (400,))[291]) == 0.0
    assert 0.0 <= float(noise.min()) <= float(noise.max()) < 1.0


def test_a_picture_is_sampled_without_arithmetic_on_pixels() -> None:
    picture = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    assert golden.sampled(picture, 6, 3).shape == (1, 6, 3, 3)
    np.testing.assert_array_equal(golden.sampled(picture, 3, 3)[0] * 255, picture)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    output = golden.expected_from(np.linspace(0, 1, 50, dtype=np.float32).reshape(5, 10))
    cases = (golden.Case((output,), pattern=1), golden.Case((output,), text="안녕"))
    facts = golden.Golden("x", "runtime 1", 1e-4, (*cases, golden.Case((output,), picture="a.png")))
    golden.write(tmp_path, facts)
    assert golden.read(tmp_path, "x") == facts


def test_the_distance_finds_a_changed_value_and_the_mean() -> None:
    actual = np.zeros((2, 60), dtype=np.float32)
    expected = golden.expected_from(actual)
    assert expected.distance(actual) == 0.0
    unsampled = actual.copy()
    unsampled[1, 7] = 0.6
    assert expected.distance(unsampled) == pytest.approx(0.005)
    sampled = actual.copy()
    sampled[0, 0] = 0.25
    assert expected.distance(sampled) == pytest.approx(0.25)


def test_the_distance_of_large_outputs_is_relative() -> None:
    actual = np.asarray([100.0, -200.0], dtype=np.float32)
    assert golden.expected_from(actual).distance(actual + 2) == pytest.approx(0.01)


def test_nan_and_other_shapes_are_refused() -> None:
    expected = golden.expected_from(np.zeros((2, 2), dtype=np.float32))
    with pytest.raises(VerifyError, match="NaN"):
        expected.distance(np.full((2, 2), np.nan, dtype=np.float32))
    with pytest.raises(VerifyError, match="shape"):
        expected.distance(np.zeros(4, dtype=np.float32))


@pytest.mark.parametrize("text", ["", "{}", '{"cases": [], "made_with": "x"}', "[1]"])
def test_a_broken_golden_file_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(VerifyError, match=r"golden/x.json"):
        golden.read(tmp_path, "x")
