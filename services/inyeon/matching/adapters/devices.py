"""Devices as keyed hashes: enough to know one again, worthless to whoever gets the store alone."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from inyeon.matching.adapters.rows import micros
from inyeon.matching.adapters.tables import devices
from inyeon.runtime.identity.statements import StatementSigner
from inyeon.runtime.store.dialects import upsert

LABEL = "inyeon.matching.device.v1"
HASH_BYTES = 16
"""Half of SHA-256: of a billion devices no two share one but with a chance of 10^-21."""
LOOKED_AT = 16
"""Accounts of one device that a commit looks at again, the newest; all of them count where a ticket
comes."""
CHUNK = 500

Twins = dict[str, tuple[str, ...]]


class DeviceHashes:
    """Hashes device keys with HMAC-SHA-256 (RFC 2104) under a key that only matching can make: the
    hash of its own signature (Ed25519, RFC 8032, is deterministic) over a label that it never signs
    otherwise. With another signing key devices become strangers, and blocks hold by account alone.
    """

    def __init__(self, signer: StatementSigner) -> None:
        self._key = hashlib.sha256(signer.sign(LABEL, b"")).digest()

    def __call__(self, device_key: str) -> str:
        """32 hexadecimal digits; empty for a token that names no device."""
        if not device_key:
            return ""
        return hmac.digest(self._key, device_key.encode(), "sha256")[:HASH_BYTES].hex()


async def unseen(
    connection: AsyncConnection, pairs: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Of (user, device) pairs those that the store does not know yet."""
    wanted = {(user, device) for user, device in pairs if device}
    if not wanted:
        return []
    found = await connection.execute(
        select(devices.c.user_id, devices.c.device).where(
            devices.c.user_id.in_({user for user, _ in wanted}),
            devices.c.device.in_({device for _, device in wanted}),
        )
    )
    return sorted(wanted - {(user, device) for user, device in found})


async def keep(connection: AsyncConnection, pairs: Sequence[tuple[str, str]], at: datetime) -> None:
    """These users were seen on these devices."""
    rows = [{"user_id": user, "device": device, "seen_us": micros(at)} for user, device in pairs]
    if rows:
        await connection.execute(upsert(connection, devices).on_conflict_do_nothing(), rows)


async def twins_of(connection: AsyncConnection, users: Iterable[str]) -> Twins:
    """For each user who was seen on a device with others: the others, the newest first."""
    mine, theirs = devices.alias("mine"), devices.alias("theirs")
    joined = mine.join(theirs, mine.c.device == theirs.c.device)
    found: dict[str, dict[str, None]] = {}
    ordered = sorted(users)
    for start in range(0, len(ordered), CHUNK):
        chunk = ordered[start : start + CHUNK]
        rows = await connection.execute(
            select(mine.c.user_id, theirs.c.user_id)
            .select_from(joined)
            .where(mine.c.user_id.in_(chunk), mine.c.user_id != theirs.c.user_id)
            .order_by(theirs.c.seen_us.desc(), theirs.c.user_id)
        )
        for user, other in rows:
            found.setdefault(user, {})[other] = None
    return {user: tuple(others) for user, others in found.items()}
