from __future__ import annotations

import numpy as np
import pytest

from inyeon_models.content import DIMS, fit_content, overlap_at_10

pytestmark = pytest.mark.unit


def test_features_of_few_directions_keep_all_neighbours() -> None:
    random = np.random.default_rng(0)
    plane = random.normal(size=(5, 1280))
    features = (random.normal(size=(80, 5)) @ plane).astype(np.float32)
    assert overlap_at_10(fit_content(features), features) > 0.95


def test_features_outside_the_fitted_directions_lose_neighbours() -> None:
    random = np.random.default_rng(0)
    fitted = random.normal(size=(80, 1280)).astype(np.float32)
    other = random.normal(size=(60, 1280)).astype(np.float32)
    projection = fit_content(fitted)
    assert projection.components.shape == (DIMS, 1280)
    assert overlap_at_10(projection, other) < 0.6
