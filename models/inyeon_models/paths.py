"""Where the manifest, the phrases and the golden values lie: beside the package, in models/."""

from __future__ import annotations

import os
from pathlib import Path

MODELS = Path(__file__).resolve().parent.parent
MANIFEST = MODELS / "manifest.toml"
GOLDEN = MODELS / "golden"
PHRASES = MODELS / "phrases" / "interests.tsv"
CARDS = MODELS / "cards"
TRAINED = MODELS / "trained"


def default_out() -> Path:
    """INYEON_MODELS_DIR, or build/models beside models/."""
    return Path(os.environ.get("INYEON_MODELS_DIR") or MODELS.parent / "build" / "models")


def default_cache() -> Path:
    """INYEON_CACHE_DIR, or build/cache beside models/."""
    return Path(os.environ.get("INYEON_CACHE_DIR") or MODELS.parent / "build" / "cache")


def default_data() -> Path:
    """INYEON_DATA, or ../shared/data beside the repository."""
    return Path(os.environ.get("INYEON_DATA") or MODELS.parent.parent / "shared" / "data")
