"""What the pool keeps of a waiting person beside the columns that waves look at."""

from __future__ import annotations

import numpy as np

ASIDE = np.dtype(
    [
        ("distracted", np.bool_),  # absent, but in the picture
    ]
)
"""A row a ticket, at the same place as the row of the columns."""


def clear(row: np.void) -> None:
    """As of somebody who has just come."""
    row["distracted"] = False
