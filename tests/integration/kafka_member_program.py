"""A member of a group in a process of its own, for tests that stop it: takes 40 records, says so,
and then tries to commit them until it cannot. With a name it polls on until another has it."""

from __future__ import annotations

import asyncio
import sys
import time

from prometheus_client import CollectorRegistry

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.errors import LogFenced, Unavailable
from inyeon.runtime.log.kafka import KafkaLog
from inyeon.runtime.log.port import GroupConsumer, Position, Record
from inyeon.runtime.settings import RuntimeSettings

COUNT = 40


async def run(server: str, topic: str, group: str, name: str = "") -> None:
    settings = RuntimeSettings(kafka_servers=(server,), replica="stopped")
    log = await KafkaLog.open(settings, SystemClock(), CollectorRegistry())
    member = await log.join(group, [topic], member=name)
    taken: list[Record] = []
    while len(taken) < COUNT:
        taken += await member.poll(COUNT, 1.0)
    before_s = time.monotonic()  # before the word after which we may be stopped at any moment
    say(f"took {len(taken)}")
    if name:
        say(await poll_on(member))
        await log.close()
        return
    # When it goes on, the clock tells. One reading ends a stretch and begins the next: a stop
    # between two readings would belong to neither.
    while (now_s := time.monotonic()) - before_s < 1.0:
        before_s = now_s
        await asyncio.sleep(0.05)
    say(await commit(member, taken))


async def poll_on(member: GroupConsumer) -> str:
    try:
        while True:
            await member.poll(COUNT, 1.0)
    except LogFenced as error:
        return str(error)


async def commit(member: GroupConsumer, taken: list[Record]) -> str:
    while True:
        try:
            await member.commit([Position(r.topic, r.partition, r.offset) for r in taken])
            return "committed"
        except LogFenced:
            return "fenced"
        except Unavailable:
            await asyncio.sleep(0.1)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


asyncio.run(run(*sys.argv[1:]))
