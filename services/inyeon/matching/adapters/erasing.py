"""A person is erased: what matching's store keeps by their id goes.

Blocks stay as edges of two random ids, verdicts go with moderation's tombstone, meetings and ends
of tickets within the hour. Without its rows a device is a stranger again: bans that outlive an
erasure are moderation's, by keyed hash.
"""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.matching.adapters.tables import credits_given, devices, faults, moved_users


async def erase(connection: AsyncConnection, user_id: str) -> None:
    """Deletes devices, faults, credits and moves of this person; of nobody else."""
    for table in (devices, faults, credits_given, moved_users):
        await connection.execute(delete(table).where(table.c.user_id == user_id))
