"""The pipe with real Apertium where it is installed, and with stages that misbehave."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator

import pytest

from inyeon.translation.adapters import apertium_text
from inyeon.translation.adapters.apertium import ApertiumEngine
from inyeon.translation.adapters.apertium_pipe import ApertiumPipe
from inyeon.translation.adapters.apertium_place import ApertiumPlace
from inyeon.translation.domain.answers import Tier
from inyeon.translation.errors import EngineRefused, EngineUnavailable

pytestmark = pytest.mark.unit


def stage(program: str) -> list[str]:
    """A stage written in Python: `read()` gives a request, `write(bytes)` answers."""
    head = """
import sys
def read():
    got = b""
    while not got.endswith(b"\\0"):
        more = sys.stdin.buffer.read1(1)
        if not more:
            raise SystemExit
        got += more
    return got
def write(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
"""
    return [sys.executable, "-c", head + program]


ECHO = stage("while True: write(read())")


async def pipe_of(*stages: list[str]) -> ApertiumPipe:
    return ApertiumPipe(list(stages), dict(os.environ))


async def test_stages_are_chained_and_stay_open() -> None:
    pipe = await pipe_of(ECHO, stage("while True: write(read().upper())"))
    try:
        assert await pipe.translate("one", 10) == "ONE"
        before = pipe.processes
        assert await pipe.translate("two [x] \\ $^@", 10) == "TWO [X] \\ $^@"
        assert pipe.processes == before and pipe.starts == 1 and pipe.alive
    finally:
        await pipe.close()
    assert not pipe.alive
    await pipe.close()


@pytest.mark.parametrize(
    "program",
    [
        "read(); write(b'half of it\\0')",
        "read(); write(b'no nul at the end .[]'); raise SystemExit",
        "read(); write(b'\\xff\\xfe.[]\\0')",
        "read(); raise SystemExit",
        "raise SystemExit",
        "read(); write(b'x' * 200_000 + b'.[]\\0')",
    ],
    ids=["truncated", "cut", "not-utf8", "ends", "never-starts", "too-long"],
)
async def test_a_reply_that_is_not_whole_is_refused_and_the_chain_stopped(program: str) -> None:
    pipe = await pipe_of(ECHO, stage(program))
    try:
        with pytest.raises(EngineUnavailable):
            await pipe.translate("hello", 10)
        assert not pipe.alive
    finally:
        await pipe.close()


async def test_a_hang_ends_at_the_deadline_and_the_next_reply_is_the_right_one() -> None:
    program = "read()\nimport time, os\ntime.sleep(60)"
    pipe = await pipe_of(stage(program))
    began = time.monotonic()
    with pytest.raises(EngineUnavailable, match="in time"):
        await pipe.translate("hello", 0.3)
    assert time.monotonic() - began < 5 and not pipe.alive
    await pipe.close()


async def test_a_cancelled_request_never_answers_the_next_one() -> None:
    pipe = await pipe_of(
        stage(
            "while True:\n d=read()\n if d[:4]==b'slow':\n  import time; time.sleep(1)\n write(d)"
        )
    )
    try:
        assert await pipe.translate("first", 10) == "first"
        slow = asyncio.create_task(pipe.translate("slow", 10))
        await asyncio.sleep(0)
        while not slow.done() and pipe.processes and not slow.cancelled():
            await asyncio.sleep(0.02)
            slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert await pipe.translate("second", 10) == "second"
        assert pipe.starts == 2
    finally:
        await pipe.close()


async def test_a_program_that_is_not_there_is_unavailable() -> None:
    pipe = await pipe_of(ECHO, ["/nonexistent/lt-proc", "-z"])
    with pytest.raises(EngineUnavailable, match="did not start"):
        await pipe.translate("hello", 10)
    assert pipe.processes == ()


@pytest.fixture
async def english(place: ApertiumPlace) -> AsyncIterator[ApertiumPipe]:
    mode = place.routes()["en", "es"]
    pipe = ApertiumPipe(place.stages(mode), place.environment())
    yield pipe
    await pipe.close()


@pytest.mark.engine("apertium")
async def test_real_stages_translate(english: ApertiumPipe) -> None:
    assert (await english.translate("I'm from Seoul.", 10)).strip() == "Soy de Seúl."
    assert "*XQN0" in await english.translate("I know XQN0 well.", 10)


@pytest.mark.parametrize("number", [0, 4, -1])
@pytest.mark.engine("apertium")
async def test_a_killed_stage_costs_one_answer_at_most(english: ApertiumPipe, number: int) -> None:
    await english.translate("Hello.", 10)
    os.kill(english.processes[number], signal.SIGKILL)
    try:
        first = await english.translate("The house is big.", 5)
    except EngineUnavailable:
        first = ""
    assert first in ("", "La casa es grande.")
    assert await english.translate("The house is big.", 10) == "La casa es grande."


@pytest.mark.engine("apertium")
async def test_a_stopped_stage_is_replaced(english: ApertiumPipe) -> None:
    await english.translate("Hello.", 10)
    os.kill(english.processes[3], signal.SIGSTOP)
    with pytest.raises(EngineUnavailable):
        await english.translate("The house is big.", 0.5)
    assert await english.translate("The house is big.", 10) == "La casa es grande."
    assert english.starts == 2


@pytest.mark.engine("apertium")
async def test_no_text_breaks_the_real_pipe(english: ApertiumPipe) -> None:
    draw = random.Random(5)
    alphabet = "abc [](){}<>^$@\\/*#~\0\n\t.?!'\"é漢한😀\u200d\u202e\ud7ff"
    for _ in range(300):
        text = "".join(draw.choice(alphabet) for _ in range(draw.randrange(1, 40)))
        await english.translate(text, 10)
    assert english.starts == 1
    assert await english.translate("The house is big.", 10) == "La casa es grande."


@pytest.mark.engine("apertium")
async def test_the_engine_answers_with_a_quality(place: ApertiumPlace) -> None:
    engine = ApertiumEngine(place)
    try:
        assert engine.tier is Tier.APERTIUM and ("es", "en") in engine.routes()
        assert engine.state()["en-es"] == "idle"
        await engine.warm(frozenset({("en", "es"), ("xx", "yy")}))
        assert engine.state()["en-es"] == "running"
        good = await engine.translate("XQN0 has a big house.", "en", "es", 5)
        assert "XQN0" in good.text and "*" not in good.text and good.quality == 0.7
        worse = await engine.translate("The house is very zorbly today.", "en", "es", 5)
        assert "zorbly" in worse.text and 0 < worse.quality < good.quality
        with pytest.raises(EngineRefused):
            await engine.translate("zorbly fnord gleep", "en", "es", 5)
        with pytest.raises(EngineRefused):
            await engine.translate("hello", "en", "ko", 5)
    finally:
        await engine.close()
    assert engine.state()["en-es"] == "stopped"


@pytest.mark.engine("apertium")
async def test_an_engine_that_does_not_start_says_so_in_the_log(place: ApertiumPlace) -> None:
    engine = ApertiumEngine(place)
    engine._pipes["en", "es"] = ApertiumPipe([["/nonexistent/lt-proc"]], {})
    await engine.warm(frozenset({("en", "es")}))
    assert engine.state()["en-es"] == "stopped"


@pytest.mark.parametrize(
    ("text", "request_bytes"),
    [("a[b]", b"a\\[b\\].[]\0"), ("x~\0y", b"x  y.[]\0"), ("ñ\\", "ñ\\\\.[]\0".encode())],
)
def test_requests_are_escaped(text: str, request_bytes: bytes) -> None:
    assert apertium_text.encode(text) == request_bytes


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("*foo y #bar", ("foo y bar", 1, 1)),
        ("a*b #", ("a*b #", 0, 0)),
        ("¿*foo?", ("¿foo?", 1, 0)),
        ("**foo", ("**foo", 0, 0)),
    ],
)
def test_marks_are_counted_and_cleared(marked: str, plain: tuple[str, int, int]) -> None:
    assert apertium_text.clear_marks(marked) == plain
