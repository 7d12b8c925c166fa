"""Runs one device from start to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import psutil

from inyeon_edge.agent.chat import say_all
from inyeon_edge.agent.commands import Say, Stats, parse_command, read_chat
from inyeon_edge.agent.device import Device, Parts
from inyeon_edge.agent.eyes import Eyes
from inyeon_edge.agent.lines import LineReader
from inyeon_edge.agent.meeting import Meeting
from inyeon_edge.agent.memory import give_back, keep_small
from inyeon_edge.agent.report import Report
from inyeon_edge.agent.voice import Voice
from inyeon_edge.errors import EdgeError
from inyeon_edge.settings import Settings
from inyeon_edge.text.encoder import encode_interests
from inyeon_edge.uplink.clock import Clock, SystemClock
from inyeon_edge.uplink.facts import Matched
from inyeon_edge.uplink.observe import Observe
from inyeon_edge.uplink.ring import DiskRing
from inyeon_edge.uplink.seek import Seek
from inyeon_edge.uplink.stream import random_id
from inyeon_edge.uplink.wish import make_wish, parse_languages

STDIN = 0
RING_FILE = "observe.sqlite3"
STATS_EVERY_S = 10.0
# Of the 5 s in which the agent stops: 3 for a call and its conversation, 0.3 for channels, and
# up to 1 for threads.
GOODBYE_S = 3.5
MIB = 1024 * 1024


async def run_agent(settings: Settings, report: Report) -> None:
    """Runs until SIGTERM, SIGINT, the command `stop` or, with commands, the end of stdin.

    Raises EdgeError where the device cannot start: models, source, ring, chat or interests.
    """
    keep_small()
    chat = read_chat(settings.chat) if settings.chat is not None else []
    clock = SystemClock()
    folder = settings.data_dir.expanduser()
    with DiskRing(folder / RING_FILE, clock.now_s) as ring:
        await _Agent(settings, report, clock, ring).run(chat)


class _Agent:
    """Holds the parts between start and stop."""

    def __init__(self, settings: Settings, report: Report, clock: Clock, ring: DiskRing) -> None:
        self._settings, self._report, self._clock, self._ring = settings, report, clock, ring
        self._device = Device(report, clock, settings.again, settings.accepts)
        self._subject = settings.subject or _kept(ring, "subject", lambda: f"u-{random_id()}")
        self._process = psutil.Process()

    async def run(self, chat: Sequence[Say]) -> None:
        settings, loop = self._settings, asyncio.get_running_loop()
        wish = None
        if settings.interests:
            vector = await asyncio.to_thread(
                encode_interests, settings.interests, settings.models_dir
            )
            wish = make_wish(parse_languages(settings.languages), vector)
            give_back()
        eyes = Eyes(settings, self._device, self._clock, _poster(loop))
        try:
            client_id = _kept(self._ring, "client_id", random_id)
            voice = Voice(
                settings,
                self._subject,
                client_id,
                self._clock,
                self._device.on_fact,
                eyes.screens.frames,
            )
            observe = voice.observe(self._ring)
            seek = None
            if wish is not None:
                seek = voice.seek(wish, observe.safety_pass, self._device.attention)
            self._wire(eyes, voice, observe, seek)
            await self._live(eyes, voice, observe, seek, chat)
        finally:
            await asyncio.to_thread(eyes.close)
        if self._device.failure is not None:
            raise self._device.failure

    def _wire(self, eyes: Eyes, voice: Voice, observe: Observe, seek: Seek | None) -> None:
        def meet(matched: Matched, call_failed: Callable[[str], None]) -> Meeting:
            converse = voice.converse(matched.grant)
            return Meeting(
                matched,
                converse,
                voice.caller,
                eyes.partner,
                self._report,
                self._clock,
                call_failed,
            )

        self._device.wire(
            Parts(
                observe,
                seek,
                eyes.picture,
                eyes.partner,
                meet,
                lambda: self._figures(eyes, observe),
                eyes.use_policy,
                eyes.use_verdict,
            )
        )

    async def _live(
        self,
        eyes: Eyes,
        voice: Voice,
        observe: Observe,
        seek: Seek | None,
        chat: Sequence[Say],
    ) -> None:
        eyes.picture.start()
        self._report.started(self._subject, eyes.screens.my_address)
        if eyes.screens.their_address:
            self._report.previews(eyes.screens.my_address, eyes.screens.their_address)
        work: list[Coroutine[Any, Any, None]] = [
            observe.run(),
            say_all(chat, self._device, self._clock),
            self._tell_figures(),
        ]
        if seek is not None:
            work.append(seek.run())
            seek.look()
        tasks = [asyncio.create_task(each) for each in work]
        try:
            with self._listening():
                await self._until_stopped(tasks)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await self._goodbye(observe, seek)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await voice.close()

    async def _until_stopped(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Returns when told to stop; a task that failed ends the agent with its error."""
        stopped = asyncio.create_task(self._device.stopped.wait())
        waiting: set[asyncio.Task[Any]] = {stopped, *tasks}
        try:
            while not stopped.done():
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            stopped.cancel()

    async def _goodbye(self, observe: Observe, seek: Seek | None) -> None:
        finishing = asyncio.create_task(self._device.finish())
        if seek is not None:
            seek.leave()
            await seek.stream.close()
        observe.stream.stop()
        await finishing

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for each in signals:
            loop.add_signal_handler(each, self._device.stopped.set)
        if self._settings.commands:
            LineReader(
                lambda size: os.read(STDIN, size), loop, self._on_line, self._device.stopped.set
            ).start()
        try:
            yield
        finally:
            for each in signals:
                loop.remove_signal_handler(each)

    def _on_line(self, line: str) -> None:
        try:
            self._device.command(parse_command(line))
        except EdgeError as error:
            self._report.error("INVALID_ARGUMENT", error.reason, error.field, str(error))

    async def _tell_figures(self) -> None:
        while True:
            await self._clock.sleep(STATS_EVERY_S)
            self._device.command(Stats())

    def _figures(self, eyes: Eyes, observe: Observe) -> dict[str, float]:
        with self._process.oneshot():
            spent, memory = self._process.cpu_times(), self._process.memory_info()
        return {
            "rss_mb": round(memory.rss / MIB, 1),
            "cpu_s": round(spent.user + spent.system, 2),
            **eyes.picture.figures(),
            "ring_bytes": self._ring.size_bytes,
            "ring_waiting": observe.stream.waiting,
            "ring_dropped": self._ring.dropped,
            "observe_epoch": observe.stream.epoch,
            "observe_reconnects": observe.stream.reconnects,
        }


def _poster(loop: asyncio.AbstractEventLoop) -> Callable[..., None]:
    """Hands calls to the loop; one that comes after its end is dropped with the agent."""

    def post(call: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(call, *arguments)

    return post


def _kept(ring: DiskRing, name: str, make: Callable[[], str]) -> str:
    """A fact of this installation, made once."""
    value = ring.fact(name) or make()
    ring.note(name, value)
    return value
