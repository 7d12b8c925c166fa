"""Times of moderation's tables, back from whole microseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(micros: int) -> datetime:
    """The aware UTC time, exactly: the inverse of the store's `microseconds`."""
    return EPOCH + timedelta(microseconds=micros)
