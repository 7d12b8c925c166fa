"""Both outboxes keep the same promises; the ring on disk keeps more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inyeon_edge.errors import OutboxFull, RingUnusable
from inyeon_edge.uplink.clock import ManualClock
from inyeon_edge.uplink.outbox import MemoryOutbox, Outbox
from inyeon_edge.uplink.ring import ROW_BYTES, DiskRing
from inyeon_edge.uplink.sender import Sender

pytestmark = pytest.mark.unit


class OutboxContract(ABC):
    """Every test uses only the seam."""

    @abstractmethod
    @pytest.fixture
    def outbox(self, tmp_path: Path) -> Iterator[Outbox]: ...

    def test_keys_rise_and_messages_come_in_order(self, outbox: Outbox) -> None:
        keys = [outbox.put(bytes([n])) for n in range(3)]
        assert keys == sorted(set(keys))
        first = outbox.after(0)
        assert first is not None and first.payload == b"\0"
        second = outbox.after(first.key)
        assert second is not None and second.payload == b"\1"
        assert outbox.after(keys[-1]) is None
        assert len(outbox) == 3
        assert outbox.size_bytes >= 3

    def test_removed_messages_are_gone_and_their_keys_never_come_again(
        self, outbox: Outbox
    ) -> None:
        key = outbox.put(b"a")
        outbox.remove([key, key + 100])
        assert len(outbox) == 0
        assert outbox.size_bytes == 0
        assert outbox.put(b"b") > key

    def test_reopening_forgets_what_was_acknowledged_and_all_other_marks(
        self, outbox: Outbox
    ) -> None:
        keys = [outbox.put(bytes([n])) for n in range(3)]
        for key, sequence in zip(keys, (5, 6, 7), strict=True):
            outbox.mark(key, sequence)
        outbox.mark(999, 1)
        assert outbox.reopen(6) == keys[:2]
        assert outbox.reopen(100) == []
        assert len(outbox) == 1
        assert outbox.dropped == 0


class TestMemoryOutbox(OutboxContract):
    @pytest.fixture
    def outbox(self, tmp_path: Path) -> Iterator[Outbox]:
        yield MemoryOutbox()

    def test_over_its_limit_it_takes_nothing(self) -> None:
        outbox = MemoryOutbox(limit=1)
        outbox.put(b"a")
        with pytest.raises(OutboxFull):
            outbox.put(b"b")
        assert len(outbox) == 1


class TestDiskRing(OutboxContract):
    @pytest.fixture
    def outbox(self, tmp_path: Path) -> Iterator[Outbox]:
        with DiskRing(tmp_path / "ring", ManualClock().now_s) as ring:
            yield ring

    def test_what_waits_is_there_after_a_restart_with_its_marks(self, tmp_path: Path) -> None:
        with DiskRing(tmp_path / "ring", ManualClock().now_s) as ring:
            keys = [ring.put(b"a"), ring.put(b"b")]
            ring.mark(keys[0], 1)
            ring.note("session", "s1")
        with DiskRing(tmp_path / "ring", ManualClock().now_s) as ring:
            assert ring.fact("session") == "s1"
            assert ring.fact("other") == ""
            assert ring.size_bytes == 2 * (1 + ROW_BYTES)
            assert ring.reopen(1) == keys[:1]

    def test_full_it_drops_what_may_go_first_and_counts(self, tmp_path: Path) -> None:
        cap = 3 * (10 + ROW_BYTES)
        with DiskRing(tmp_path / "ring", ManualClock().now_s, cap_bytes=cap) as ring:
            ring.put(b"partner..1")
            ring.put(b"myself...1", goes_first=True)
            ring.put(b"partner..2")
            assert ring.dropped == 0
            ring.put(b"partner..3")
            assert ring.dropped == 1
            ring.put(b"partner..4")
            assert ring.dropped == 2
            first = ring.after(0)
            assert first is not None and first.payload == b"partner..2"
            assert ring.size_bytes <= cap

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.tuples(st.integers(1, 400), st.booleans()), max_size=60))
    def test_it_never_grows_over_its_cap(
        self, tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[int, bool]]
    ) -> None:
        path = tmp_path_factory.mktemp("ring") / "ring"
        with DiskRing(path, ManualClock().now_s, cap_bytes=2000) as ring:
            for size, goes_first in puts:
                ring.put(b"x" * size, goes_first=goes_first)
                assert ring.size_bytes <= 2000
            assert len(ring) + ring.dropped == len(puts)

    def test_the_file_stays_near_its_cap(self, tmp_path: Path) -> None:
        with DiskRing(tmp_path / "ring", ManualClock().now_s, cap_bytes=100_000) as ring:
            for _ in range(2000):
                ring.put(b"x" * 300, goes_first=True)
        assert sum(each.stat().st_size for each in tmp_path.iterdir()) < 400_000

    async def test_what_is_too_old_is_dropped_when_a_connection_opens(self, tmp_path: Path) -> None:
        clock = ManualClock()
        with DiskRing(tmp_path / "ring", clock.now_s, max_age_s=60) as ring:
            ring.put(b"old")
            await clock.advance(61)
            ring.put(b"new")
            ring.reopen(0)
            assert len(ring) == 1
            assert ring.dropped == 1

    def test_a_damaged_file_is_put_aside(self, tmp_path: Path) -> None:
        path = tmp_path / "ring"
        path.write_bytes(b"this is no database " * 300)
        with DiskRing(path, ManualClock().now_s) as ring:
            assert ring.was_damaged
            ring.put(b"a")
        assert (tmp_path / "ring.damaged").exists()

    def test_a_folder_that_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(RingUnusable) as refused:
            DiskRing(tmp_path / "file" / "ring", ManualClock().now_s)
        assert refused.value.field == "state_dir"

    def test_a_ring_that_another_process_holds_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "ring").mkdir()
        with pytest.raises(RingUnusable):
            DiskRing(tmp_path / "ring", ManualClock().now_s)


def test_a_restarted_sender_does_not_repeat_what_was_committed(tmp_path: Path) -> None:
    with DiskRing(tmp_path / "ring", ManualClock().now_s) as ring:
        sender = Sender(ring)
        sender.opened(0, 10)
        for n in range(3):
            ring.put(bytes([n]))
        assert [out.sequence for out in iter(sender.next, None)] == [1, 2, 3]
    with DiskRing(tmp_path / "ring", ManualClock().now_s) as ring:
        sender = Sender(ring)
        assert [sent.key for sent in sender.opened(2, 10)] == [1, 2]
        again = [(out.sequence, out.payload) for out in iter(sender.next, None)]
        assert again == [(3, b"\2")]
        assert not sender.is_drained
        assert sender.acked(3)
        assert sender.is_drained
        assert not sender.give_up_oldest()
