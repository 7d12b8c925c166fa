"""What translation can do now, as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import APIRouter


def routes(
    pairs: Callable[[], Mapping[str, list[str]]],
    pipes: Callable[[], Mapping[str, str]],
    reason: str,
) -> APIRouter:
    """`GET /translation/routes`: pairs by tier, and the state of each Apertium pipe or why there is
    none.
    """
    router = APIRouter(prefix="/translation")

    @router.get("/routes")
    async def show_routes() -> dict[str, object]:
        tiers = dict(pairs())
        available = bool(tiers.get("apertium"))
        state = {"available": available, "pipes": dict(pipes()), "reason": reason}
        return {"tiers": tiers, "apertium": state}

    return router
