"""Done at the desk of a pool's owner: what callers say here and, forwarded, at other replicas."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from enum import Enum

from inyeon.matching.api.callers import Caller, Closed, Verb
from inyeon.matching.api.forwarding import Spoken, answer_to, request_from
from inyeon.matching.api.verbs import act
from inyeon.matching.app.floor import Floor
from inyeon.matching.app.overflow import room, whereabouts
from inyeon.runtime.errors import InyeonError
from inyeon.runtime.peers import Peers
from inyeon_protos.matching.v1 import forwarding_pb2 as pb

KNOWN = 200_000
"""Sessions whose epoch is kept, about 150 B each: ten times what waits in a full pool."""


class Standing(Enum):
    """What this replica is to a pool."""

    OWNER = pb.POOL_STANDING_OWNER
    REBUILDING = pb.POOL_STANDING_REBUILDING
    ELSEWHERE = pb.POOL_STANDING_ELSEWHERE


class Acting:
    """Acts where this replica owns the pool. One instance serves its own streams and the others'.

    A device may have opened a stream at another replica while its old one is still dying here: what
    a session of a lower epoch says is dropped, so that it cannot send away who is back.
    """

    def __init__(self, floor: Floor, peers: Peers) -> None:
        self._floor = floor
        self._peers = peers
        self._epochs: OrderedDict[str, int] = OrderedDict()

    def standing(self, pool: str) -> Standing:
        """As of now."""
        desk = self._floor.desks.get(pool)
        if desk is None or not desk.hall.epoch:
            return Standing.ELSEWHERE
        return Standing.OWNER if desk.hall.rebuilt.is_set() else Standing.REBUILDING

    def undecided(self, pool: str) -> bool:
        """This replica may own the pool, and does not know yet whether it can have it."""
        desk = self._floor.desks.get(pool)
        return desk is not None and not desk.hall.epoch and not desk.hall.elsewhere

    async def act(self, pool: str, caller: Caller, verb: Verb) -> str | None:
        """Does it in a pool that this replica owns; or returns the pool where the caller was moved,
        and does nothing. Raises what `verbs.act` raises."""
        desk = self._floor.desks[pool]
        moved_to = await whereabouts(desk, caller.user_id, caller.claims.country)
        if moved_to is None and self._is_newest(caller, verb):
            await act(desk, caller, verb)
        return moved_to

    async def answer(self, payload: bytes) -> bytes:
        """A ForwardRequest of another replica. Raises InvalidRequest."""
        pool, spoken = request_from(payload)
        for caller, _ in spoken:  # a stream of theirs that is held here is an older one
            self._peers.release(caller.user_id, caller.epoch - 1)
        standing = self.standing(pool)
        done = await self.act_all(pool, spoken) if standing is Standing.OWNER else None
        response = done or pb.ForwardResponse(standing=standing.value)
        response.room = self.room(pool)
        return response.SerializeToString()

    def room(self, pool: str) -> int:
        """How many more tickets a pool takes; 0 where this replica does not own it."""
        if self.standing(pool) is not Standing.OWNER:
            return 0
        return room(self._floor.desks[pool])

    async def act_all(self, pool: str, spoken: Sequence[Spoken]) -> pb.ForwardResponse:
        """All of it in a pool that this replica owns, whatever is refused among it."""
        response = pb.ForwardResponse(standing=Standing.OWNER.value)
        for caller, verb in spoken:
            response.answers.append(await self._answer(pool, caller, verb))
        return response

    async def _answer(self, pool: str, caller: Caller, verb: Verb) -> pb.ForwardAnswer:
        try:
            moved_to = await self.act(pool, caller, verb)
        except InyeonError as refusal:
            return answer_to(refusal)
        return pb.ForwardAnswer(moved_to=moved_to or "")

    def _is_newest(self, caller: Caller, verb: Verb) -> bool:
        known = self._epochs.pop(caller.user_id, 0)
        if not isinstance(verb, Closed) or caller.epoch < known:
            self._epochs[caller.user_id] = max(known, caller.epoch)
            if len(self._epochs) > KNOWN:
                self._epochs.popitem(last=False)
        return caller.epoch >= known
