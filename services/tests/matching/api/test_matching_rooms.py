"""Room of a pool: of this replica's own, of another replica's, of nobody's."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from inyeon.matching.api.acting import Standing
from inyeon.matching.api.forwarding import request_from
from inyeon.matching.api.rooms import PeerRooms
from inyeon.runtime.peers import LocalPeers
from inyeon_protos.matching.v1 import forwarding_pb2 as pb

pytestmark = pytest.mark.unit


@dataclass
class Company(LocalPeers):
    """Other replicas by address: what they answer, None for one that is away."""

    answers: dict[str, pb.ForwardResponse | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(self.answers)

    async def ask(self, address: str, payload: bytes, timeout_s: float) -> bytes | None:
        pool, spoken = request_from(payload)
        assert spoken == []
        self.asked.append(pool)
        answer = self.answers[address]
        return None if answer is None else answer.SerializeToString()


class Here:
    """What `Acting` says of pools."""

    def __init__(self, owned: dict[str, int]) -> None:
        self._owned = owned

    def standing(self, pool: str) -> Standing:
        return Standing.OWNER if pool in self._owned else Standing.ELSEWHERE

    def room(self, pool: str) -> int:
        return self._owned.get(pool, 0)


def answer(standing: Standing, room: int = 0) -> pb.ForwardResponse:
    return pb.ForwardResponse(standing=standing.value, room=room)


async def test_of_ones_own_pool_nobody_is_asked() -> None:
    company = Company(answers={"b": answer(Standing.OWNER, 9)})
    assert await PeerRooms(Here({"europe": 3}), company).room("europe") == 3
    assert company.asked == []


async def test_the_owner_among_the_others_says_it() -> None:
    answers = {"b": None, "c": answer(Standing.ELSEWHERE), "d": answer(Standing.OWNER, 7)}
    company = Company(answers=answers)
    assert await PeerRooms(Here({}), company).room("europe") == 7
    assert company.asked == ["europe"] * 3


@pytest.mark.parametrize("answers", [{}, {"b": None}, {"b": answer(Standing.REBUILDING)}])
async def test_a_pool_without_an_owner_takes_nobody(
    answers: dict[str, pb.ForwardResponse | None],
) -> None:
    assert await PeerRooms(Here({}), Company(answers=answers)).room("europe") == 0
