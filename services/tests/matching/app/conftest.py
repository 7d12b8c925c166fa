"""A desk on a clock that a test moves: real book, real log in memory, real signatures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry

from inyeon.matching.adapters.book import SqlBook
from inyeon.matching.adapters.metrics import PrometheusMeter
from inyeon.matching.adapters.statements import StatementGrants, StatementPasses
from inyeon.matching.adapters.tables import TABLES
from inyeon.matching.adapters.ticket_log import LogTickets
from inyeon.matching.adapters.wire import timestamp
from inyeon.matching.app.admit import admit
from inyeon.matching.app.desk import Desk
from inyeon.matching.app.hall import Hall
from inyeon.matching.app.heartbeat import heartbeat
from inyeon.matching.app.owning import take_over
from inyeon.matching.app.ports import SignedPass
from inyeon.matching.app.seek import seek
from inyeon.matching.app.wave import run_wave
from inyeon.matching.domain import news
from inyeon.matching.domain.people import AgeBand, Attention, Gender, Person
from inyeon.matching.domain.waves import WaveRules
from inyeon.matching.workload import synthetic_waiters
from inyeon.runtime.clock import ManualClock
from inyeon.runtime.identity.signing import Ed25519Signer, Ed25519Verifier
from inyeon.runtime.identity.statements_pb import seal
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.topics import all_specs
from inyeon.runtime.store.sql import temporary_store
from inyeon_protos.common.v1.identity_pb2 import SafetyPass

WISH = replace(
    next(iter(synthetic_waiters(1, 1))).ticket.wish, genders=frozenset(), countries=frozenset()
)
MODERATION = Ed25519Signer(Ed25519PrivateKey.generate())
MATCHING = Ed25519Signer(Ed25519PrivateKey.generate())


@dataclass
class RecordingTeller:
    """A device for everybody, which only listens."""

    heard: list[tuple[str, news.News]] = field(default_factory=list)

    async def tell(self, user_id: str, told: news.News) -> bool:
        self.heard.append((user_id, told))
        return True

    def take(self, user_id: str) -> list[news.News]:
        """What that user heard since the last time."""
        mine = [told for user, told in self.heard if user == user_id]
        self.heard = [pair for pair in self.heard if pair[0] != user_id]
        return mine


@dataclass
class Scene:
    """A desk and everything around it that tests look at."""

    desk: Desk
    clock: ManualClock
    log: MemoryLog
    teller: RecordingTeller
    store: Any

    def another(self) -> Desk:
        """Another replica on the same book."""
        return replace(self.desk, hall=Hall(), replica="there")

    async def person(self, user: str, band: AgeBand = AgeBand.ADULT) -> None:
        """Somebody who beats, seeks and is in the pool."""
        await self.beat(user)
        await seek(self.desk, Person(user, band, "US", Gender.OTHER), WISH, "s")
        await self.arrive()

    async def arrive(self) -> None:
        """Tickets on their way come into the pool."""
        await admit(self.desk, list(self.desk.hall.on_the_way.values()))

    async def beat(
        self, user: str, present: bool | Attention = True, signed: SignedPass | None = None
    ) -> None:
        await heartbeat(self.desk, user, "", present, signed or self.signed(user))

    def signed(
        self, user: str, life_s: float = 30.0, device: str = "", ahead_s: float = 0.0
    ) -> SignedPass:
        now = self.clock.now() + timedelta(seconds=ahead_s)
        fact = SafetyPass(
            user_id=user,
            session_id="s",
            device_key=device,
            policy_version="7",
            issued_at=timestamp(now),
            expires_at=timestamp(now + timedelta(seconds=life_s)),
        )
        sealed = seal(MODERATION, fact)
        return SignedPass(sealed.key_id, sealed.payload, sealed.signature)

    async def matched(self) -> news.Matched:
        """Ana and Bob meet; returns what Ana heard."""
        await self.person("ana")
        await self.clock.advance(1.0)
        await self.person("bob")
        await run_wave(self.desk)
        (told,) = [one for one in self.teller.take("ana") if isinstance(one, news.Matched)]
        self.teller.heard.clear()
        return told


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    clock, log, teller = ManualClock(), MemoryLog(ManualClock()), RecordingTeller()
    await log.create_topics(all_specs())
    numbers = iter(range(10_000))
    async with temporary_store(TABLES, clock) as store:
        desk = Desk(
            book=SqlBook(store, timedelta(minutes=10), clock),
            tickets=LogTickets(log, "here", clock),
            teller=teller,
            passes=StatementPasses(Ed25519Verifier([MODERATION.public_key])),
            grants=StatementGrants(MATCHING),
            meter=PrometheusMeter(CollectorRegistry(), "main"),
            clock=clock,
            rules=WaveRules(),
            pool="main",
            replica="here",
            new_id=lambda: f"id-{next(numbers)}",
            max_waiting=3,
        )
        await take_over(desk, await desk.book.hold("main", "here", 0) or 0)
        yield Scene(desk, clock, log, teller, store)
