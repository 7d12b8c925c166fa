"""Pools for operators: PoolService and the page `/matching/pools`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from inyeon.matching.adapters.wire import duration, timestamp
from inyeon.matching.app.floor import Floor
from inyeon.matching.app.pools import PoolState, pool_states
from inyeon.runtime.errors import NotAllowed
from inyeon.runtime.identity.context import current_claims
from inyeon_protos.matching.v1 import matching_pb2, matching_pb2_grpc

OPERATOR = "operator"


class PoolServicer(matching_pb2_grpc.PoolServiceServicer):
    """gRPC; role operator."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    async def ListPools(
        self, request: matching_pb2.ListPoolsRequest, context: Any
    ) -> matching_pb2.ListPoolsResponse:
        """Raises NotAllowed (ROLE_MISSING)."""
        if OPERATOR not in current_claims().roles:
            raise NotAllowed("only operators see pools", reason="ROLE_MISSING")
        return matching_pb2.ListPoolsResponse(pools=map(_message, pool_states(self._floor)))


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


def _message(state: PoolState) -> matching_pb2.Pool:
    return matching_pb2.Pool(
        pool=state.pool,
        waiting=state.waiting,
        paused=state.paused,
        live_matches=state.live_matches,
        longest_wait=duration(state.longest_wait_s),
        last_pass_at=timestamp(state.last_pass_at) if state.last_pass_at else None,
    )
