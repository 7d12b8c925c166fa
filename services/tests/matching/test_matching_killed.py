"""A real process on real files, killed with SIGKILL: what was acknowledged is still there."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.identity.claims import AgeBand
from inyeon.runtime.keyring import Keyring
from inyeon.runtime.settings import RuntimeSettings
from inyeon_protos.matching.v1 import matching_pb2 as pb

pytestmark = pytest.mark.integration

START_S = 60.0  # importing everything on a busy machine takes seconds

SERVER = """
import asyncio, sys
from pathlib import Path
from inyeon.matching.bootstrap import build
from inyeon.matching.settings import MatchingSettings
from inyeon.runtime.harness import run
from inyeon.runtime.settings import RuntimeSettings

mine = MatchingSettings(wave_every_s=0.05)
ground = RuntimeSettings(data_dir=Path(sys.argv[1]), grpc_port=0, internal_port=0, http_port=0)
told = lambda ports: print(ports.grpc, flush=True)
sys.exit(asyncio.run(run([lambda ground: build(mine, ground)], ground, started=told)))
"""


class ServerProcess:
    """A matching service in a process of its own; what `Device` needs to know of it."""

    def __init__(self, folder: Path, sign_pass: Any) -> None:
        self._folder = folder
        self._sign_pass = sign_pass
        self.port = 0
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            SERVER,
            str(self._folder),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(START_S):
            self.port = int(await self.process.stdout.readline())
        settings = RuntimeSettings(data_dir=self._folder)
        self._keys = Keyring(settings, SystemClock())
        self.issuer = self._keys.token_issuer()

    async def kill(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    def safety_pass(self, user: str, device_key: str = "") -> Any:
        return self._sign_pass(self._keys.signer("moderation"), user, device_key)


@pytest.fixture
async def server(tmp_path: Path, sign_pass: Any) -> AsyncIterator[ServerProcess]:
    made = ServerProcess(tmp_path, sign_pass)
    await made.start()
    yield made
    await made.kill()


async def test_match_and_ticket_survive_sigkill(
    server: ServerProcess, device_type: Any, wish: Any
) -> None:
    facts = {"age_band": AgeBand.ADULT}
    ana, bob, dora = (device_type(server, user, facts) for user in ("ana", "bob", "dora"))
    for device, language in ((ana, "es"), (bob, "en"), (dora, "ja")):
        await device.open()
        device.keep_beating()
        await device.seek(wish(language))
    match_id = (await ana.hear("matched")).match_id
    await bob.hear("matched")
    ticket = (await dora.hear("queued")).ticket_id
    await server.kill()
    for device in (ana, bob, dora):
        await device.close()
        device.news.clear()
        device.error = None
    await server.start()
    for device in (ana, bob):
        await device.open()
        assert (await device.hear("matched")).match_id == match_id
    await dora.open()
    dora.keep_beating()
    assert (await dora.hear("queued", reason=pb.WAIT_REASON_POOL_EMPTY)).ticket_id == ticket
    for device in (ana, bob, dora):
        await device.close()
