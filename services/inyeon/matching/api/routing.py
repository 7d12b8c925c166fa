"""From a stream to the desk of the pool's owner: here, or at another replica.

A device's stream may be anywhere. The replica that holds it forwards each verb to the owner of the
pool by an internal call; news comes back by `Peers.deliver`. Who owns a pool is asked of the other
replicas and remembered until one says that it is not the owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from inyeon.matching.adapters.wire import attention_from
from inyeon.matching.api.acting import Acting, Standing
from inyeon.matching.api.beats import Beats
from inyeon.matching.api.callers import Caller, Closed, Said, Verb
from inyeon.matching.api.forwarding import Spoken, refusal_of, request_to
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import InyeonError, Unavailable
from inyeon.runtime.peers import Peers
from inyeon_protos.matching.v1 import forwarding_pb2 as pb

PATIENCE_S = 5.0
"""A start rebuilds a pool in far less, and a planned hand-over is done in 2 s; after an owner's
death a device may have to try once more (4 s of lease, 1 s until the next look, 1 s to rebuild)."""
RETRY_S = 0.1
FIND_S = 1.0
"""A replica that does not answer within it owns nothing, as far as this call goes."""
VERB_S = 5.0
"""The owner acknowledges a wish when it is in the log, which may take so long."""
BEATS_S = 1.0
SILENT_S = 10.0
"""Whose owner has been away for so long is told to open the stream again, and hears why it cannot.
More than a hand-over takes, less than the 30 s after which the ticket ends."""
MOVES = 4
"""A ticket moves once in a minute: whoever is sent on so often in one call goes in circles."""


class _Moved(Exception):
    """The caller waits or meets in another pool."""

    def __init__(self, pool: str) -> None:
        super().__init__(pool)
        self.pool = pool


class Routing:
    """Knows the pool of a caller and its owner. One event loop owns it."""

    def __init__(
        self, acting: Acting, peers: Peers, clock: Clock, pool_of: Callable[[str], str]
    ) -> None:
        """`pool_of`: the pool of a country."""
        self._acting = acting
        self._peers = peers
        self._clock = clock
        self._pool_of = pool_of
        self._moved_to: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._finding: dict[str, asyncio.Lock] = {}
        self._refused: dict[tuple[str, int], InyeonError] = {}
        self._silent_since: dict[str, float] = {}
        self.beats = Beats(self._send_beats)

    def pool(self, caller: Caller) -> str:
        """Where the caller waits, as far as this replica knows."""
        home = self._pool_of(caller.claims.country)
        return self._moved_to.get(caller.user_id, home)

    async def act(self, caller: Caller, verb: Verb) -> None:
        """Does what the caller says, at the pool's owner. When it returns, it is done: the ticket
        of a wish is in the log.

        Raises what `verbs.act` raises, and Unavailable where nobody owns the pool (POOL_ELSEWHERE)
        or its owner rebuilds it (REBUILDING) for more than 5 s.
        """
        closes = isinstance(verb, Closed)
        if closes:
            self._forget(caller)
        self._raise_refusal(caller)
        spoken = [*self.beats.take(self.pool(caller), caller), (caller, verb)]
        # A stream that ends holds up the end of its replica: it does not wait.
        ends_at = self._clock.monotonic() + (0.0 if closes else PATIENCE_S)
        try:
            for _ in range(MOVES):
                if await self._patiently(caller, spoken, ends_at):
                    return
        finally:
            if closes:
                self._moved_to.pop(caller.user_id, None)
        raise Unavailable("the ticket moves from pool to pool", reason="POOL_ELSEWHERE")

    async def beat(self, caller: Caller, said: Said) -> None:
        """A heartbeat: at once where the pool is owned here, else with the next batch. What the
        owner refuses is raised at the caller's next message."""
        pool = self.pool(caller)
        self._raise_refusal(caller)
        if self._is_silent(pool):
            raise self._away(pool, Standing.ELSEWHERE)
        if self._peers.others and self._acting.standing(pool) is not Standing.OWNER:
            self._add_beat(caller, said)
        else:
            await self.act(caller, said)

    async def _patiently(self, caller: Caller, spoken: Sequence[Spoken], ends_at: float) -> bool:
        """False: the caller was moved, and is now to be looked for elsewhere."""
        pool = self.pool(caller)
        try:
            while (standing := await self._try(pool, spoken)) is not Standing.OWNER:
                if self._is_alone(pool, standing) or self._clock.monotonic() >= ends_at:
                    raise self._away(pool, standing)
                await self._clock.sleep(RETRY_S)
        except _Moved as moved:
            self._follow(caller, moved.pool)
            return False
        self._silent_since.pop(pool, None)
        return True

    def _follow(self, caller: Caller, pool: str) -> None:
        self._moved_to[caller.user_id] = pool
        if pool == self._pool_of(caller.claims.country):
            del self._moved_to[caller.user_id]

    def _add_beat(self, caller: Caller, said: Said) -> None:
        attention = attention_from(said.message.heartbeat)
        self.beats.add(self.pool(caller), (caller, said), attention)

    def _is_silent(self, pool: str) -> bool:
        since = self._silent_since.get(pool)
        return since is not None and since + SILENT_S <= self._clock.monotonic()

    def _is_alone(self, pool: str, standing: Standing) -> bool:
        """Nobody can be asked, and this replica will not own the pool soon."""
        elsewhere = standing is Standing.ELSEWHERE and not self._peers.others
        return elsewhere and not self._acting.undecided(pool)

    def _away(self, pool: str, standing: Standing) -> Unavailable:
        if standing is Standing.REBUILDING or self._acting.undecided(pool):
            return Unavailable("the pool is being rebuilt", reason="REBUILDING")
        return Unavailable("another replica owns the pool", reason="POOL_ELSEWHERE")

    def _forget(self, caller: Caller) -> None:
        self.beats.forget(self.pool(caller), caller)
        self._refused.pop((caller.user_id, caller.epoch), None)

    def _raise_refusal(self, caller: Caller) -> None:
        refusal = self._refused.pop((caller.user_id, caller.epoch), None)
        if refusal is not None:
            raise refusal

    async def _try(self, pool: str, spoken: Sequence[Spoken]) -> Standing:
        """OWNER: it is done."""
        here = self._acting.standing(pool)
        if here is Standing.ELSEWHERE:
            return await self._forward(pool, spoken, VERB_S, self._answered)
        if here is Standing.OWNER:
            for caller, verb in spoken:
                if (moved_to := await self._acting.act(pool, caller, verb)) is not None:
                    raise _Moved(moved_to)
        return here

    def _answered(self, spoken: Sequence[Spoken], response: pb.ForwardResponse) -> None:
        for answer in response.answers:
            if (refusal := refusal_of(answer)) is not None:
                raise refusal
            if answer.moved_to:
                raise _Moved(answer.moved_to)

    def _answered_beats(self, spoken: Sequence[Spoken], response: pb.ForwardResponse) -> None:
        for (caller, verb), answer in zip(spoken, response.answers, strict=False):
            refusal = refusal_of(answer)
            if refusal is not None:
                self._refused[caller.user_id, caller.epoch] = refusal
            elif answer.moved_to and isinstance(verb, Said):
                self._follow(caller, answer.moved_to)
                self._add_beat(caller, verb)

    async def _send_beats(self, pool: str, spoken: Sequence[Spoken]) -> bool:
        standing = self._acting.standing(pool)
        if standing is Standing.OWNER:  # it came here meanwhile
            self._answered_beats(spoken, await self._acting.act_all(pool, spoken))
        elif standing is Standing.ELSEWHERE:
            standing = await self._forward(pool, spoken, BEATS_S, self._answered_beats)
        if standing is Standing.OWNER:
            self._silent_since.pop(pool, None)
            return True
        self._silent_since.setdefault(pool, self._clock.monotonic())
        return False

    async def _forward(
        self,
        pool: str,
        spoken: Sequence[Spoken],
        timeout_s: float,
        answered: Callable[[Sequence[Spoken], pb.ForwardResponse], None],
    ) -> Standing:
        address = self._owners.get(pool) or await self._find(pool)
        if address is None:
            return Standing.ELSEWHERE
        response = await self._ask(address, request_to(pool, spoken), timeout_s)
        if response is None or response.standing == pb.POOL_STANDING_ELSEWHERE:
            if self._owners.get(pool) == address:
                del self._owners[pool]
            return Standing.ELSEWHERE
        if response.standing == pb.POOL_STANDING_OWNER:
            answered(spoken, response)
        return Standing(response.standing)

    async def _find(self, pool: str) -> str | None:
        """Asks every other replica, once for all who want to know."""
        async with self._finding.setdefault(pool, asyncio.Lock()):
            if pool in self._owners:
                return self._owners[pool]
            request = request_to(pool, ())
            others = self._peers.others
            answers = await asyncio.gather(*(self._ask(one, request, FIND_S) for one in others))
            for address, answer in zip(others, answers, strict=True):
                if answer is not None and answer.standing != pb.POOL_STANDING_ELSEWHERE:
                    self._owners[pool] = address
            return self._owners.get(pool)

    async def _ask(
        self, address: str, payload: bytes, timeout_s: float
    ) -> pb.ForwardResponse | None:
        answer = await self._peers.ask(address, payload, timeout_s)
        return None if answer is None else pb.ForwardResponse.FromString(answer)
