"""Two replicas in processes of their own on one store and one log, killed at random with SIGKILL.

Nobody is ever in two matches, no acknowledged ticket is lost, people at different replicas meet.
"""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.identity.claims import AgeBand
from inyeon.runtime.keyring import Keyring
from inyeon.runtime.log.embedded import EmbeddedLog
from inyeon.runtime.log.envelope import decode, is_type
from inyeon.runtime.log.port import Record
from inyeon.runtime.log.topics import MATCHES
from inyeon.runtime.settings import RuntimeSettings
from inyeon_protos.events.v1 import events_pb2
from inyeon_protos.matching.v1 import matching_pb2 as pb

pytestmark = pytest.mark.integration

START_S = 60.0  # importing everything on a busy machine takes seconds
SETTLE_S = 40.0  # a lease of 4 s, a rebuild, a wave, on a machine that may be busy
NO_END = datetime.max.replace(tzinfo=UTC)
COUNTRIES = ("US", "KR", "FR")  # three pools

SERVER = """
import asyncio, sys
from pathlib import Path
from inyeon.matching.bootstrap import build
from inyeon.matching.settings import MatchingSettings
from inyeon.runtime.harness import run
from inyeon.runtime.settings import RuntimeSettings

folder, replica, internal, peer = sys.argv[1:]
mine = MatchingSettings(
    wave_every_s=0.1, rematch_horizon_s=0, pools=("north-america", "east-asia", "europe")
)
ground = RuntimeSettings(
    data_dir=Path(folder), grpc_port=0, internal_port=int(internal), http_port=0,
    replica=replica, peers=(peer,), log_level="WARNING",
)
told = lambda ports: print(ports.grpc, flush=True)
sys.exit(asyncio.run(run([lambda ground: build(mine, ground)], ground, started=told)))
"""


class Replica:
    """A process; what `Device` needs to know of it."""

    def __init__(self, folder: Path, name: str, internal: int, peer: int, sign: Any) -> None:
        self.name = name
        self.port = 0
        self._folder = folder
        self._arguments = (str(folder), name, str(internal), f"127.0.0.1:{peer}")
        self._sign = sign
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            SERVER,
            *self._arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(START_S):
            self.port = int(await self._process.stdout.readline())
        self._keys = Keyring(RuntimeSettings(data_dir=self._folder), SystemClock())
        self.issuer = self._keys.token_issuer()

    async def kill(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    def safety_pass(self, user: str, device_key: str = "") -> Any:
        return self._sign(self._keys.signer("moderation"), user, device_key)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
async def replicas(tmp_path: Path, sign_pass: Any) -> AsyncIterator[list[Replica]]:
    one, other = free_port(), free_port()
    both = [
        Replica(tmp_path, "one", one, other, sign_pass),
        Replica(tmp_path, "other", other, one, sign_pass),
    ]
    await asyncio.gather(*(replica.start() for replica in both))
    yield both
    for replica in both:
        await replica.kill()


class Person:
    """Somebody who seeks, meets, ends the match and seeks again, at whichever replica answers."""

    def __init__(self, device: Any, replicas: list[Replica], wish: Any, chance: random.Random):
        self.device = device
        self.met: set[str] = set()
        self._replicas = replicas
        self._wish = wish
        self._chance = chance
        self._seeks = False

    async def live(self) -> None:
        while True:
            with suppress(grpc.aio.AioRpcError, TimeoutError, asyncio.InvalidStateError):
                await self._stream()
            await asyncio.sleep(0.2)

    async def _stream(self) -> None:
        device = self.device
        device.stage = self._chance.choice(self._replicas)
        device.error = device.ending = None
        device.news.clear()
        await device.open()
        device.keep_beating()
        while True:
            await device.send(wish=self._wish)
            await device.until(lambda: bool(device.news) or device.ending is not None)
            if device.ending is not None:
                return
            news = device.news.pop(0)
            if news.WhichOneof("kind") == "matched":
                self.met.add(news.matched.match_id)
                end = pb.EndMatch(match_id=news.matched.match_id, reason=pb.END_REASON_LEFT)
                await device.send(end_match=end)
            await asyncio.sleep(0.1)


async def test_two_replicas_killed_at_random_never_double_book(
    replicas: list[Replica], device_type: Any, wish: Any, tmp_path: Path
) -> None:
    chance = random.Random(5)
    people = []
    for number in range(12):
        facts = {"age_band": AgeBand.ADULT, "country": COUNTRIES[number % 3]}
        device = device_type(replicas[0], f"user-{number}", facts)
        people.append(Person(device, replicas, wish(), chance))
    lives = [asyncio.create_task(person.live()) for person in people]
    await meetings(people, lives, 1)
    for last in (False, True):
        dead = chance.choice(replicas)
        await dead.kill()
        await meetings(people, lives, 1)
        if not last:
            await dead.start()
    for life in lives:
        life.cancel()
    await asyncio.wait(lives)
    for person in people:
        await person.device.close()
    await judge(tmp_path)


async def meetings(people: list[Person], lives: Sequence[asyncio.Task[None]], more: int) -> None:
    """Waits until everybody has met so many times more, in whatever is left."""
    wanted = {person: len(person.met) + more for person in people}
    for _ in range(int(SETTLE_S / 0.1)):
        for life in lives:
            if life.done():
                life.result()
        if all(len(person.met) >= count for person, count in wanted.items()):
            return
        await asyncio.sleep(0.1)
    late = {p.device.user: (len(p.met), count, p.device.error) for p, count in wanted.items()}
    pytest.fail(f"not everybody met again: {late}")


async def judge(folder: Path) -> None:
    """By the log: of nobody do two matches overlap. A match begins after its people's tickets were
    written, and those after the end of the match before."""
    log = await EmbeddedLog.open(folder / "log.db", SystemClock())
    times: dict[str, dict[str, tuple[datetime, datetime]]] = defaultdict(dict)
    ends: dict[str, datetime] = {}
    begun: list[events_pb2.MatchLive] = []
    for record in await everything(log):
        if is_type(record, events_pb2.MatchLive):
            begun.append(decode(record, events_pb2.MatchLive))
        else:
            ended = decode(record, events_pb2.MatchEnded)
            ends[ended.match_id] = ended.ended_at.ToDatetime(tzinfo=UTC)
    await log.close()
    for match in begun:
        since = match.started_at.ToDatetime(tzinfo=UTC)
        for user in (match.user_a, match.user_b):
            times[user][match.match_id] = since, ends.get(match.match_id, NO_END)
    for user, of_user in times.items():
        spans = sorted(of_user.values())
        for (_, until), (since, _) in pairwise(spans):
            assert until <= since, f"{user} was in two matches at once: {spans}"
    assert len({match.match_id for match in begun}) >= len(times) * 2


async def everything(log: EmbeddedLog) -> list[Record]:
    reader = await log.read_all([MATCHES])
    found: list[Record] = []
    while not (await reader.caught_up()):
        found += await reader.poll(500, 0.1)
    await reader.close()
    return found
