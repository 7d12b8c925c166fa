"""The role `relay`: publishes the outboxes of all services and does nothing else.

Two replicas are fine: of each shard one relays, the other stands by.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import MetaData

from inyeon.runtime.errors import SettingsRefused
from inyeon.runtime.ground import SharedGround
from inyeon.runtime.service import Ground, Service

NAME = "relay"


async def build_relay(ground: Ground) -> Service:
    """Ready while every relay gets to look into its outbox, as holder or as stand-by. Raises
    SettingsRefused, StoreUnavailable, MigrationFailed."""
    if not isinstance(ground, SharedGround):
        raise SettingsRefused("the relay runs on the process's own ground only", field="role")
    relays = [r for name, tables in _stores().items() for r in await ground.relays(name, tables)]
    return Service(
        name=NAME,
        grpc_names=(),
        bind=lambda server: None,
        ready=lambda: all(relay.is_well for relay in relays),
    )


def _stores() -> Mapping[str, MetaData]:
    """Every service that has an outbox."""
    from inyeon.matching.adapters.tables import TABLES as MATCHING
    from inyeon.moderation.adapters.tables import TABLES as MODERATION
    from inyeon.translation.adapters.tables import TABLES as TRANSLATION

    return {"matching": MATCHING, "moderation": MODERATION, "translation": TRANSLATION}
