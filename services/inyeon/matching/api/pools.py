"""Pools for operators: PoolService and the page `/matching/pools`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from inyeon.matching.adapters.wire import duration, timestamp
from inyeon.matching.app.floor import Floor
from inyeon.matching.app.pools import PoolState, pool_states
from inyeon.matching.app.switching import Switching
from inyeon.matching.domain.modes import ALL_POOLS, PoolMode
from inyeon.runtime.identity.context import current_claims
from inyeon_protos.matching.v1 import matching_pb2, matching_pb2_grpc


class PoolServicer(matching_pb2_grpc.PoolServiceServicer):
    """gRPC; role operator. Every method raises NotAllowed (ROLE_MISSING)."""

    def __init__(self, floor: Floor, switching: Switching) -> None:
        self._floor, self._switching = floor, switching

    async def ListPools(
        self, request: matching_pb2.ListPoolsRequest, context: Any
    ) -> matching_pb2.ListPoolsResponse:
        """Raises StoreUnavailable."""
        modes = await self._switching.modes(current_claims().roles)
        return matching_pb2.ListPoolsResponse(
            pools=[_message(state, modes[state.pool]) for state in pool_states(self._floor)],
            pairing_stopped=modes[ALL_POOLS] is PoolMode.PAUSED,
        )

    async def PausePool(
        self, request: matching_pb2.PausePoolRequest, context: Any
    ) -> matching_pb2.PausePoolResponse:
        """Raises NotFound (POOL_UNKNOWN), StoreUnavailable."""
        mode = await self._say(request.pool, PoolMode.PAUSED)
        return matching_pb2.PausePoolResponse(mode=mode)

    async def DrainPool(
        self, request: matching_pb2.DrainPoolRequest, context: Any
    ) -> matching_pb2.DrainPoolResponse:
        """Raises NotFound (POOL_UNKNOWN), StoreUnavailable."""
        mode = await self._say(request.pool, PoolMode.DRAINING)
        return matching_pb2.DrainPoolResponse(mode=mode)

    async def ResumePool(
        self, request: matching_pb2.ResumePoolRequest, context: Any
    ) -> matching_pb2.ResumePoolResponse:
        """Raises NotFound (POOL_UNKNOWN), StoreUnavailable."""
        mode = await self._say(request.pool, PoolMode.OPEN)
        return matching_pb2.ResumePoolResponse(mode=mode)

    async def StopPairing(
        self, request: matching_pb2.StopPairingRequest, context: Any
    ) -> matching_pb2.StopPairingResponse:
        """Raises StoreUnavailable."""
        await self._say(ALL_POOLS, PoolMode.PAUSED)
        return matching_pb2.StopPairingResponse()

    async def AllowPairing(
        self, request: matching_pb2.AllowPairingRequest, context: Any
    ) -> matching_pb2.AllowPairingResponse:
        """Raises StoreUnavailable."""
        await self._say(ALL_POOLS, PoolMode.OPEN)
        return matching_pb2.AllowPairingResponse()

    async def _say(self, pool: str, mode: PoolMode) -> matching_pb2.PoolMode.ValueType:
        who = current_claims()
        await self._switching.say(who.roles, who.subject, pool, mode)
        return _mode((await self._switching.modes(who.roles))[pool])


def pools_router(floor: Floor) -> APIRouter:
    """JSON beside /metrics, for the operator's port only; numbers, no people."""
    router = APIRouter()

    @router.get("/matching/pools")
    async def pools() -> dict[str, Any]:
        return {"pools": [_json(state) for state in pool_states(floor)]}

    return router


def _json(state: PoolState) -> dict[str, Any]:
    return {
        "pool": state.pool,
        "epoch": state.epoch,
        "waiting": state.waiting,
        "paused": state.paused,
        "live_matches": state.live_matches,
        "longest_wait_s": round(state.longest_wait_s, 3),
        "waves": state.waves,
        "service_away": state.service_away,
        "last_pass_at": state.last_pass_at.isoformat() if state.last_pass_at else None,
    }


def _mode(mode: PoolMode) -> matching_pb2.PoolMode.ValueType:
    return matching_pb2.PoolMode.ValueType(int(mode))


def _message(state: PoolState, mode: PoolMode) -> matching_pb2.Pool:
    return matching_pb2.Pool(
        pool=state.pool,
        waiting=state.waiting,
        paused=state.paused,
        live_matches=state.live_matches,
        longest_wait=duration(state.longest_wait_s),
        last_pass_at=timestamp(state.last_pass_at) if state.last_pass_at else None,
        mode=_mode(mode),
    )
