"""Synthetic windows and policies. No picture is behind any of these scores."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from inyeon.moderation.adapters.acks import SessionAcks
from inyeon.moderation.adapters.ledger import SqlLedger
from inyeon.moderation.adapters.match_book import apply_match
from inyeon.moderation.adapters.metrics import PrometheusMeter
from inyeon.moderation.adapters.neighbours import PeerNeighbours, receiver
from inyeon.moderation.adapters.passes import SealedPasses
from inyeon.moderation.adapters.policy_file import PolicyFile, read_policy
from inyeon.moderation.adapters.tables import TABLES, stream_sessions
from inyeon.moderation.app.commit import GroupCommit
from inyeon.moderation.app.live import LiveSession, LiveSessions
from inyeon.moderation.app.observe import Observe
from inyeon.moderation.app.ports import SignedPass
from inyeon.moderation.app.reporting import Reporting
from inyeon.moderation.app.reviewing import Reviewing
from inyeon.moderation.app.telling import Telling
from inyeon.moderation.domain.directive import Directive
from inyeon.moderation.domain.observation import CLASSES, Presence, Scores, Subject, Window
from inyeon.moderation.domain.policy import Policy
from inyeon.moderation.domain.verdict import Verdict
from inyeon.moderation.settings import DEFAULT_POLICY
from inyeon.runtime.clock import ManualClock
from inyeon.runtime.identity.signing import Ed25519Signer
from inyeon.runtime.log import topics
from inyeon.runtime.log.envelope import new_event
from inyeon.runtime.log.port import Record
from inyeon.runtime.peers import LocalPeers
from inyeon.runtime.store.migrating import migrations_of
from inyeon.runtime.store.sql import SqlStore
from inyeon.runtime.store.tables import outbox
from inyeon.runtime.streams.sessions_sql import StoreSessions
from inyeon_protos.events.v1.events_pb2 import MatchEnded, MatchLive

OpenStore = Callable[..., AbstractAsyncContextManager[SqlStore]]


def means_of(given: dict[str, float]) -> tuple[float, ...]:
    """(5,) distribution: what is not given goes to Neutral."""
    mean = [given.get(name, 0.0) for name in CLASSES]
    if "Neutral" not in given:
        mean[CLASSES.index("Neutral")] = max(0.0, 1.0 - sum(mean))
    return tuple(mean)


@pytest.fixture
def window() -> Callable[..., Window]:
    """Builds a window; classes not named share what is left, all of it Neutral."""

    def make(
        window_id: int = 1,
        *,
        subject: Subject = Subject.MYSELF,
        presence: Presence = Presence.ALONE,
        duration_s: float = 1.0,
        covered: bool = False,
        scored: bool = True,
        frames: int = 2,
        **means: float,
    ) -> Window:
        mean = means_of(means)
        scores = Scores("mobilenet_v2", "1", frames, mean, mean) if scored else None
        return Window(window_id, subject, duration_s, presence, scores, covered)

    return make


@pytest.fixture(scope="session")
def policy_file() -> PolicyFile:
    return read_policy(DEFAULT_POLICY)


@pytest.fixture(scope="session")
def policy_path(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path_factory.mktemp("policy") / "policy.yaml"
        path.write_text(text)
        return path

    return write


class TestDevice:
    """Device that remembers what it was told."""

    __test__ = False

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.verdicts: list[Verdict] = []
        self.acks: list[tuple[int, SignedPass | None]] = []
        self.ended = False

    def told_policy(self, policy: Policy) -> None:
        self.told.append(("POLICY", policy.version))

    def told_verdict(
        self, verdict: Verdict, reason: str, policy_version: str, at: datetime
    ) -> None:
        self.verdicts.append(verdict)

    def directed(self, directive: Directive) -> None:
        self.told.append((directive.action.value, directive.subject.value))

    def takes(self, directive: Directive) -> bool:
        self.directed(directive)
        return True

    def acknowledged(self, through: int, safety_pass: SignedPass | None) -> None:
        self.acks.append((through, safety_pass))

    def superseded(self) -> None:
        self.ended = True


@dataclass
class Room:
    """The use cases over a real store in a temporary file, with time in the test's hand."""

    clock: ManualClock
    store: SqlStore
    ledger: SqlLedger
    sessions: LiveSessions
    streams: StoreSessions
    commit: GroupCommit
    telling: Telling
    observe: Observe
    reporting: Reporting
    reviewing: Reviewing
    peers: LocalPeers
    signer: Ed25519Signer
    policy_file: PolicyFile

    async def open(self, user_id: str, session_id: str = "") -> tuple[LiveSession, TestDevice]:
        """Opens a session as the stream server would."""
        session_id = session_id or f"s-{user_id}"
        opened = await self.streams.open("observe", user_id, "c", session_id)
        device = TestDevice()
        live = await self.observe.open(user_id, session_id, opened.epoch, "", device)
        live.through = opened.acknowledged
        self.peers.hold(
            user_id,
            opened.epoch,
            receiver(
                device.takes,
                lambda w: self.observe.corroborate(user_id, w),
            ),
        )
        return live, device

    async def feed(self, live: LiveSession, *windows: Window) -> None:
        """Windows a second apart."""
        for item in windows:
            await self.clock.advance(1.0)
            await self.observe.window(live, item.window_id, item)

    async def match(self, match_id: str, a: str, b: str, *, ended: bool = False) -> None:
        """Takes a match in as the consumer does."""
        made: MatchEnded | MatchLive = (
            MatchEnded(match_id=match_id, user_a=a, user_b=b, version=2)
            if ended
            else MatchLive(match_id=match_id, user_a=a, user_b=b, version=1)
        )
        new = new_event(topics.MATCHES, match_id, made, occurred_at=self.clock.now())
        record = Record(new.topic, 0, 0, new.key, new.value, new.headers, self.clock.now())
        async with self.store.transaction() as tx:
            await apply_match(record, tx, self.clock)

    async def emitted(self) -> list[tuple[str, str]]:
        """(topic, key) of what the outbox holds, in order."""
        async with self.store.reading() as connection:
            rows = await connection.execute(
                select(outbox.c.topic, outbox.c.key).order_by(outbox.c.id)
            )
            return [(row.topic, row.key) for row in rows]


@pytest.fixture
async def room(policy_file: PolicyFile, open_store: OpenStore) -> AsyncIterator[Room]:
    clock = ManualClock()
    async with open_store(TABLES, clock, migrations_of("moderation")) as store:
        streams = StoreSessions(store, stream_sessions, clock)
        ledger = SqlLedger(store, SessionAcks(streams), clock, policy_file.policy.opinions)
        meter, sessions, peers = PrometheusMeter(CollectorRegistry()), LiveSessions(), LocalPeers()
        neighbours, policy = PeerNeighbours(peers), policy_file.policy
        signer = Ed25519Signer(Ed25519PrivateKey.generate())
        commit = GroupCommit(
            ledger, SealedPasses(signer), clock, meter, every_s=0.25, at_windows=100
        )
        telling = Telling(sessions, ledger, neighbours, policy, clock, meter)
        observe = Observe(
            sessions, ledger, commit, telling, neighbours, policy, clock, meter, max_sessions=3
        )
        yield Room(
            clock,
            store,
            ledger,
            sessions,
            streams,
            commit,
            telling,
            observe,
            Reporting(ledger),
            Reviewing(ledger, observe.dismissed),
            peers,
            signer,
            policy_file,
        )


@pytest.fixture(scope="session")
def moderation_process() -> ModuleType:
    """The module beside this file that serves the real service."""
    path = Path(__file__).parent / "moderation_process.py"
    spec = importlib.util.spec_from_file_location("moderation_process", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
