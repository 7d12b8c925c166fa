"""Files that tests of the agent need from outside: built models and data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inyeon_edge.engine import ModelLibrary

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The folder of built models; its absence is a failure in CI and a skip elsewhere."""
    folder = Path(os.environ.get("INYEON_MODELS_DIR", REPO / "build" / "models"))
    if not (folder / "index.json").is_file():
        if os.environ.get("CI"):
            pytest.fail(f"no models in {folder}: inyeon-models build must run first")
        pytest.skip(f"no models in {folder}: run inyeon-models build")
    return folder


@pytest.fixture(scope="session")
def models(models_dir: Path) -> ModelLibrary:
    """The real models, loaded once for the whole run."""
    return ModelLibrary(models_dir)


@pytest.fixture(scope="session")
def vision_data() -> Path:
    """Pictures and clips of the data folder."""
    folder = Path(os.environ.get("INYEON_DATA", REPO.parent / "shared" / "data")) / "vision"
    if not folder.is_dir():
        pytest.skip(f"no data in {folder}")
    return folder
