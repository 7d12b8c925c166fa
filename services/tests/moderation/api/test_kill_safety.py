"""kill -9: what was acknowledged is there again, what was not is sent again, and no verdict is lost
or doubled."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from inyeon.moderation.adapters.ledger import SqlLedger
from inyeon.moderation.adapters.tables import TABLES
from inyeon.moderation.domain.policy import SecondOpinion
from inyeon.moderation.domain.verdict import Verdict
from inyeon.runtime.clock import SystemClock
from inyeon.runtime.store.sql import open_service_store
from inyeon_protos.common.v1 import stream_pb2
from inyeon_protos.moderation.v1 import safety_pb2, safety_pb2_grpc

pytestmark = pytest.mark.integration
START_S = 30.0  # imports on a loaded machine take a few seconds
WAIT_S = 10.0


def _spawn(script: Path, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(script), str(folder)])  # noqa: S603 - our own


class Served:
    """The service in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> str:
        """Starts it; returns the address."""
        (self.folder / "address").unlink(missing_ok=True)
        script = Path(__file__).parent.parent / "moderation_process.py"
        self.process = _spawn(script, self.folder)
        async with asyncio.timeout(START_S):
            while not (self.folder / "address").exists():
                assert self.process.poll() is None, "the service ended"
                await asyncio.sleep(0.05)
        return (self.folder / "address").read_text()

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)
            self.process = None


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.kill()


def request(sequence: int, drawing: float) -> safety_pb2.ObserveRequest:
    mean = [drawing, 0.0, 1.0 - drawing, 0.0, 0.0]
    window = safety_pb2.ObservationWindow(
        subject=safety_pb2.OBSERVED_SUBJECT_MYSELF,
        started_at=Timestamp(seconds=sequence),
        duration=Duration(seconds=1),
        presence=safety_pb2.PRESENCE_STATE_ALONE,
        scores=safety_pb2.FilterScores(model="m", version="1", frames=2, mean=mean, max=mean),
    )
    return safety_pb2.ObserveRequest(sequence=sequence, window=window)


class Device:
    """Sends windows, keeps what is not acknowledged, counts acknowledgements and directives."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.directives: list[int] = []
        self.verdicts: list[int] = []

    async def run(
        self, address: str, token: str, windows: list[safety_pb2.ObserveRequest], until: int
    ) -> int:
        """Connects, sends all that is not acknowledged, reads until `until` is; returns where the
        server let it go on."""
        async with grpc.aio.insecure_channel(address) as channel:
            call: Any = safety_pb2_grpc.SafetyServiceStub(channel).Observe(
                metadata=(("authorization", f"Bearer {token}"),)
            )
            try:
                async with asyncio.timeout(WAIT_S):
                    return await self._talk(call, windows, until)
            finally:
                call.cancel()

    async def _talk(self, call: Any, windows: list[safety_pb2.ObserveRequest], until: int) -> int:
        opening = stream_pb2.StreamOpen(client_id="c", session_id="s", protocol_version=1)
        control = stream_pb2.ClientControl(open=opening)
        await call.write(safety_pb2.ObserveRequest(control=control))
        start = -1
        while self.acknowledged < until:
            message = await call.read()
            assert message is not grpc.aio.EOF
            if message.control.HasField("opened"):
                start = message.control.opened.acknowledged
                for item in windows[start:]:
                    await call.write(item)
            self.acknowledged = max(self.acknowledged, message.control.ack.through)
            if message.HasField("directive"):
                self.directives.append(message.directive.action)
            if message.HasField("verdict"):
                self.verdicts.append(message.verdict.verdict)
        return start


async def test_nothing_acknowledged_is_lost(
    served: Served, moderation_process: ModuleType, tmp_path: Path
) -> None:
    device, token = Device(), moderation_process.token(tmp_path, "a")
    windows = [request(n, 0.9) for n in (1, 2)]
    assert await device.run(await served.start(), token, windows, until=2) == 0
    served.kill()
    assert device.directives == []
    # Two hot seconds were acknowledged: with one more after the restart the rule of three fires.
    windows.append(request(3, 0.9))
    assert await device.run(await served.start(), token, windows, until=3) == 2
    assert device.directives == [safety_pb2.DIRECTIVE_ACTION_PROTECT]
    assert safety_pb2.VERDICT_CLEAR not in device.verdicts
    served.kill()
    await _one_verdict_one_case(tmp_path)


async def test_killed_before_the_commit(
    served: Served, moderation_process: ModuleType, tmp_path: Path
) -> None:
    """The directive came, the commit did not: the device sends again, the verdict comes out the
    same, once."""
    token = moderation_process.token(tmp_path, "a")
    windows = [request(n, 0.9) for n in range(1, 4)]
    address = await served.start()
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = safety_pb2_grpc.SafetyServiceStub(channel).Observe(
            metadata=(("authorization", f"Bearer {token}"),)
        )
        opening = stream_pb2.StreamOpen(client_id="c", session_id="s", protocol_version=1)
        control = stream_pb2.ClientControl(open=opening)
        await call.write(safety_pb2.ObserveRequest(control=control))
        for item in windows:
            await call.write(item)
        served.kill()
        call.cancel()
    device = Device()
    start = await device.run(await served.start(), token, windows, until=3)
    assert start in (0, 1, 2, 3)
    assert safety_pb2.DIRECTIVE_ACTION_PROTECT in device.directives or start == 3
    served.kill()
    await _one_verdict_one_case(tmp_path)


async def _one_verdict_one_case(folder: Path) -> None:
    clock = SystemClock()
    store = await open_service_store("moderation", TABLES, folder, clock)
    try:
        ledger = SqlLedger(store, _no_acks, clock, SecondOpinion())
        stored = await ledger.stored_verdict("a")
        assert stored is not None
        assert (stored.verdict, stored.version) == (Verdict.PROTECT, 1)
        cases, _ = await ledger.cases(open_only=None, size=10, after="")
        assert [case.reason for case in cases] == ["DRAWING_SUSTAINED"]
    finally:
        await store.close()


async def _no_acks(*_: object) -> frozenset[str]:
    return frozenset()
