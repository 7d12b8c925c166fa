"""Which services there are and how each is built; imports wait until a role is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from inyeon.runtime.service import Ground, Service

Build = Callable[[Ground], Awaitable[Service]]


def builders(roles: tuple[str, ...]) -> tuple[Build, ...]:
    """Builders in the order of start. Raises KeyError for an unknown role. All services together
    are a platform in one process: moderation then brings its worker, which shares its store."""
    if roles == tuple(BUILDERS):
        return (_moderation_with_worker, *(BUILDERS[role] for role in roles if role != MODERATION))
    return tuple(ROLES[role] for role in roles)


async def _matching(ground: Ground) -> Service:
    from inyeon.matching.bootstrap import build
    from inyeon.matching.settings import MatchingSettings

    return await build(MatchingSettings(), ground)


async def _moderation(ground: Ground) -> Service:
    from inyeon.moderation.bootstrap import build
    from inyeon.moderation.settings import ModerationSettings

    return await build(ModerationSettings(), ground)


async def _moderation_with_worker(ground: Ground) -> Service:
    from inyeon.moderation.bootstrap import build
    from inyeon.moderation.settings import ModerationSettings

    return await build(ModerationSettings(), ground, with_worker=True)


async def _moderation_worker(ground: Ground) -> Service:
    from inyeon.moderation.settings import ModerationSettings
    from inyeon.moderation.worker import build_worker

    return await build_worker(ModerationSettings(), ground)


async def _translation(ground: Ground) -> Service:
    from inyeon.translation.bootstrap import build
    from inyeon.translation.settings import TranslationSettings

    return await build(TranslationSettings(), ground)


async def _gateway(ground: Ground) -> Service:
    from inyeon.gateway.bootstrap import build
    from inyeon.gateway.settings import GatewaySettings

    return await build(GatewaySettings(), ground)


async def _relay(ground: Ground) -> Service:
    from inyeon.cli.relay import build_relay

    return await build_relay(ground)


MODERATION = "moderation"

BUILDERS: dict[str, Build] = {
    MODERATION: _moderation,
    "matching": _matching,
    "translation": _translation,
    "gateway": _gateway,
}
"""Services: what `inyeon up` runs."""

WORKERS: dict[str, Build] = {"moderation-worker": _moderation_worker, "relay": _relay}
"""Roles that only a platform of many processes has."""

ROLES: dict[str, Build] = BUILDERS | WORKERS
"""What `inyeon serve` takes."""
