"""One pair of Apertium as a chain of processes that stays open: 1 ms a sentence instead of 270 ms.

Apertium is GPL; it only ever runs in processes of its own, and text goes over its standard streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence

from inyeon.translation.adapters import apertium_text
from inyeon.translation.errors import EngineUnavailable

START_S = 5.0  # start and first answer take 190 ms idle; 25 times that for a loaded machine
REPLY_LIMIT = 64 * 1024  # a sentence has at most 400 characters, its answer some thousand bytes
STOP_S = 2.0  # after a kill only the kernel is waited for


class ApertiumPipe:
    """A chain of stages for one pair. One request at a time; not usable after a failure until it is
    started again.
    """

    def __init__(self, stages: Sequence[Sequence[str]], environment: Mapping[str, str]) -> None:
        self._stages = stages
        self._environment = environment
        self._processes: list[Process] = []
        # Guards the stream: a second request must not read the first one's reply.
        self._turn = asyncio.Lock()
        self.starts = 0

    @property
    def alive(self) -> bool:
        """Every stage runs."""
        return bool(self._processes) and all(p.returncode is None for p in self._processes)

    @property
    def processes(self) -> tuple[int, ...]:
        """Process ids of the stages, in order."""
        return tuple(p.pid for p in self._processes)

    async def translate(self, text: str, timeout_s: float) -> str:
        """The raw answer with its marks. Starts the chain if needed.

        Raises EngineUnavailable after `timeout_s`, and for a truncated or malformed reply; the
        chain is then stopped and
        the next call starts it anew.
        """
        try:
            async with asyncio.timeout(timeout_s), self._turn:
                return await self._ask(text)
        except TimeoutError:
            raise EngineUnavailable("no answer in time") from None

    async def warm(self) -> None:
        """Starts the chain and waits for its first answer, at most START_S. Raises
        EngineUnavailable.
        """
        await self.translate("a", START_S)

    async def close(self) -> None:
        """Stops every stage. Closing twice does nothing."""
        async with self._turn:
            await self._stop()

    async def _ask(self, text: str) -> str:
        if not self.alive:
            await self._stop()
            await self._start()
        whole = False
        try:
            answer = await self._exchange(text)
            whole = True
            return answer
        finally:
            # Also when cancelled midway: the reply of this request must never answer the next one.
            if not whole:
                await asyncio.shield(self._stop())

    async def _exchange(self, text: str) -> str:
        stdin, stdout = self._processes[0].stdin, self._processes[-1].stdout
        if stdin is None or stdout is None:
            raise EngineUnavailable("the chain has no ends")
        try:
            stdin.write(apertium_text.encode(text))
            await stdin.drain()
            reply = await stdout.readuntil(b"\0")
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise EngineUnavailable(f"the chain broke: {type(error).__name__}") from None
        answer = apertium_text.decode(reply)
        if answer is None or not self.alive:
            raise EngineUnavailable("malformed reply")
        return answer

    async def _start(self) -> None:
        self.starts += 1
        source: int = PIPE
        try:
            for stage in self._stages[:-1]:
                read_end, write_end = os.pipe()
                await self._spawn(stage, source, write_end)
                source = read_end
            await self._spawn(self._stages[-1], source, PIPE)
        except (OSError, asyncio.CancelledError) as error:
            await asyncio.shield(self._stop())
            if isinstance(error, asyncio.CancelledError):
                raise
            raise EngineUnavailable(f"a stage did not start: {type(error).__name__}") from None

    async def _spawn(self, stage: Sequence[str], stdin: int, stdout: int) -> None:
        """Starts one stage and closes our copies of its pipe ends, so that the end of one stage
        reaches the next.

        Standard error is dropped: stages print the text that they stumble over.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *stage,
                stdin=stdin,
                stdout=stdout,
                stderr=DEVNULL,
                env=dict(self._environment),
                limit=REPLY_LIMIT,
                start_new_session=True,  # Ctrl-C in a terminal is ours to handle
            )
            self._processes.append(process)
        finally:
            for end in (stdin, stdout):
                if end >= 0:
                    os.close(end)

    async def _stop(self) -> None:
        processes, self._processes = self._processes, []
        for process in processes:
            if process.returncode is None:
                # Not process.kill(): it reaps a stage that just ended before asyncio does, which
                # then warns.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            if process.stdin is not None:
                process.stdin.close()
        for process in processes:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_ended(process), STOP_S)


async def _ended(process: Process) -> None:
    """Waits for the end, and reads what is left: asyncio closes a pipe only at its end."""
    if process.stdout is not None:
        while await process.stdout.read(REPLY_LIMIT):
            pass
    await process.wait()
