from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from inyeon_models.errors import ConversionError
from inyeon_models.reduction import fit, int8_scaled, to_npz, unit

pytestmark = pytest.mark.unit

Float = NDArray[np.float32]
_rows = arrays.arrays(
    np.float32, (3, 8), elements=st.floats(-100, 100, width=32, allow_subnormal=False)
)


def _cloud(seed: int = 0) -> Float:
    """200 points in 10 dimensions that vary strongly along three directions."""
    random = np.random.default_rng(seed)
    strong = random.normal(size=(200, 3)) @ random.normal(size=(3, 10)) * 5
    return (strong + random.normal(size=(200, 10)) * 0.01 + 2).astype(np.float32)


def test_three_directions_carry_a_cloud_of_three() -> None:
    cloud = _cloud()
    projection = fit(cloud, 3)
    back = projection.apply(cloud) @ projection.components + projection.mean
    assert np.abs(back - cloud).max() < 0.1


def test_directions_have_length_one_stand_at_right_angles_and_keep_their_sign() -> None:
    projection = fit(_cloud(), 5)
    np.testing.assert_allclose(
        projection.components @ projection.components.T, np.eye(5), atol=1e-5
    )
    strongest = np.abs(projection.components).argmax(axis=1)
    assert (projection.components[np.arange(5), strongest] > 0).all()


def test_an_uncentred_fit_goes_through_the_origin() -> None:
    assert not fit(_cloud(), 2, centred=False).mean.any()


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ConversionError, match="11 directions"):
        fit(_cloud(), 11)


def test_the_version_follows_the_numbers() -> None:
    assert fit(_cloud(), 3).version("1") == fit(_cloud(), 3).version("1")
    assert fit(_cloud(1), 3).version("1") != fit(_cloud(), 3).version("1")
    assert fit(_cloud(), 3).version("1").startswith("1-")
    assert len(fit(_cloud(), 3).version("1")) <= 32  # EmbeddingSpace.version


@given(_rows)
def test_int8_is_never_further_than_half_a_step(rows: Float) -> None:
    quantised, scale = int8_scaled(rows)
    assert quantised.dtype == np.int8
    assert np.abs(quantised.astype(int)).max() <= 127
    assert (np.abs(quantised * scale[:, None] - rows) <= scale[:, None] * 0.501 + 1e-6).all()


@given(_rows)
def test_unit_rows_have_length_one_or_stay_zero(rows: Float) -> None:
    lengths = np.linalg.norm(unit(rows), axis=1)
    assert all(abs(length - 1) < 1e-3 or length < 1 for length in lengths)
    assert not unit(np.zeros((1, 4), np.float32)).any()


def test_the_file_holds_everything_and_the_same_bytes_each_time() -> None:
    projection = fit(_cloud(), 3)
    data = to_npz(projection, model="m", version="1-abc")
    assert data == to_npz(projection, model="m", version="1-abc")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        assert archive["mean"].dtype == archive["components"].dtype == np.float32
        assert int(archive["dims"]) == 3
        assert (str(archive["model"]), str(archive["version"])) == ("m", "1-abc")
