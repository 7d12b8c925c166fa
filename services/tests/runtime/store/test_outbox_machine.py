"""The outbox against a model, with crashes at every point between publish and delete.

Invariants: what was committed is published at least once, in commit order when repetitions are left
out, each event with one id; what was rolled back never is; versions of a fact have no gaps.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from sqlalchemy import MetaData

from inyeon.runtime.clock import ManualClock
from inyeon.runtime.errors import LogUnavailable
from inyeon.runtime.log.memory import MemoryLog
from inyeon.runtime.log.port import NewRecord, Position, TopicSpec
from inyeon.runtime.store.outbox import OutboxRelay
from inyeon.runtime.store.sql import SqlStore
from inyeon.runtime.store.tables import runtime_tables

pytestmark = pytest.mark.unit

facts = st.sampled_from(["a", "b", "c"])


class Killed(Exception):
    """The process is gone."""


class _FragileLog(MemoryLog):
    """Dies before or after taking the records, when told so."""

    dies: str = ""

    async def publish(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        if self.dies == "before":
            raise Killed
        positions = await super().publish(records)
        if self.dies == "after":
            raise Killed
        return positions


class OutboxMachine(RuleBasedStateMachine):
    """One store, one log, relays that come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.folder = tempfile.TemporaryDirectory()
        self.log = _FragileLog(self.clock)
        self.committed: list[tuple[str, int]] = []
        self.versions: dict[str, int] = {}

    @initialize()
    def begins(self) -> None:
        self.runner.run(self.log.create_topics([TopicSpec("t", 1)]))
        self.store = self.runner.run(self._open())
        self.relay = self._relay()

    @rule(changes=st.lists(facts, min_size=1, max_size=4), commits=st.booleans())
    def change(self, changes: list[str], commits: bool) -> None:
        try:
            self.runner.run(self._change(changes, commits))
        except ValueError:
            return
        for fact in changes:
            self.versions[fact] = self.versions.get(fact, 0) + 1
            self.committed.append((fact, self.versions[fact]))

    @rule()
    def drain(self) -> None:
        self.runner.run(self.relay.drain())

    @rule(dies=st.sampled_from(["before", "after"]))
    def die_while_publishing(self, dies: str) -> None:
        self.log.dies = dies
        try:
            self.runner.run(self.relay.drain())
        except Killed:
            self.relay = self._relay()
        self.log.dies = ""

    @rule()
    def outage(self) -> None:
        self.log.outage = True
        with suppress(LogUnavailable):
            self.runner.run(self.relay.drain())
        self.log.outage = False

    @rule()
    def another_relay_takes_over(self) -> None:
        self.runner.run(self.clock.advance(11.0))
        self.relay = self._relay(owner="other")
        self.runner.run(self.relay.drain())

    @rule()
    def restart(self) -> None:
        self.runner.run(self.store.close())
        self.store = self.runner.run(self._open())
        self.relay = self._relay()

    def teardown(self) -> None:
        try:
            self.runner.run(self.clock.advance(11.0))
            self.runner.run(self._relay().drain())
            self._everything_is_published_in_order()
        finally:
            self.runner.run(self.store.close())
            self.runner.run(self.log.close())
            self.runner.close()
            self.folder.cleanup()

    def _everything_is_published_in_order(self) -> None:
        reader = self.runner.run(self.log.read_all(["t"]))
        records = self.runner.run(reader.poll(100_000, 0.0))
        first: dict[str, tuple[str, int]] = {}
        for record in records:
            said = (record.key, int(record.headers["version"]))
            assert first.setdefault(record.headers["event_id"], said) == said
        assert list(first.values()) == self.committed

    async def _change(self, changes: list[str], commits: bool) -> None:
        async with self.store.transaction() as tx:
            for fact in changes:
                version = await tx.next_version(fact)
                await tx.emit(NewRecord("t", fact, b"v", {"version": str(version)}))
            if not commits:
                raise ValueError("changed my mind")

    async def _open(self) -> SqlStore:
        path = Path(self.folder.name) / "store.db"
        tables = runtime_tables(MetaData())
        return await SqlStore.open(path, tables, migrations=None, clock=self.clock, durable=False)

    def _relay(self, owner: str = "one") -> OutboxRelay:
        return OutboxRelay(self.store, self.log, self.clock, owner=owner)


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
