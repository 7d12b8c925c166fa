"""What the pool keeps of a waiting person beside the columns that waves look at."""

from __future__ import annotations

import math

import numpy as np

from inyeon.matching.domain.tickets import Ticket

ASIDE = np.dtype(
    [
        ("distracted", np.bool_),  # absent, but in the picture
        ("cools_until", np.float64),  # seconds of the pool's clock
        ("widens_at_s", np.float64),  # waiting time of the plan's next step; inf: none
    ]
)
"""A row a ticket, at the same place as the row of the columns."""


def begin(row: np.void, ticket: Ticket, cools_until: float) -> None:
    """As of somebody who has just come."""
    row["distracted"] = False
    row["cools_until"] = cools_until
    row["widens_at_s"] = ticket.wish.next_widening_s(-math.inf)
