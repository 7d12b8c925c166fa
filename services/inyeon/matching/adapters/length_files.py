"""The model of conversation lengths as a JSON file: means, scales, weights and intercept."""

from __future__ import annotations

import json
from pathlib import Path

from inyeon.matching.domain.lengths import LengthModel, LengthsRefused
from inyeon.runtime.errors import SettingsRefused

MOST_BYTES = 64 * 1024  # nineteen numbers are below 1 kB


def read_lengths(path: Path | None) -> LengthModel | None:
    """None for no file. Raises SettingsRefused (LENGTHS_REFUSED), which names the file and what is
    wrong with it."""
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        document = json.loads(data) if len(data) <= MOST_BYTES else None
        if not isinstance(document, dict):
            raise ValueError(f"no JSON object within {MOST_BYTES} bytes")
        return LengthModel.of(document)
    except (OSError, ValueError, RecursionError, LengthsRefused) as error:
        raise SettingsRefused(
            f"{path}: {error}", reason="LENGTHS_REFUSED", field="INYEON_MATCHING_LENGTH_MODEL"
        ) from error
