"""Built models, tritonservers of one's own, and waiting for them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inyeon.inference.export import export
from inyeon_stack import EngineMissing, Triton

NOTICED_S = 1.0  # what an operator is promised
BACK_S = 60.0  # the server alone takes 2 s, on a shared machine many times that


def models_dir() -> Path:
    """Built models; skips where there are none, and fails in CI."""
    folder = Path(os.environ.get("INYEON_MODELS_DIR") or "build/models").resolve()
    if not (folder / "canaries.json").is_file():
        if os.environ.get("CI"):
            pytest.fail(f"no models in {folder}: CI builds them first")
        pytest.skip(f"no models in {folder}: run `make models`")
    return folder


@contextmanager
def own_server(folder: Path, change: Callable[[Path], None] = lambda _: None) -> Iterator[Triton]:
    """A started server that its test may kill. `change` may alter the exported repository."""
    export(models_dir(), folder / "repository", "python")
    change(folder / "repository")
    server = Triton(folder / "run", folder / "repository")
    try:
        server.start()
    except EngineMissing as missing:
        pytest.skip(str(missing))
    try:
        yield server
    finally:
        server.stop()


async def until(true: Callable[[], bool], within_s: float) -> float:
    """Seconds until it is; TimeoutError after `within_s`."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - a flag, not an event
            await asyncio.sleep(0.01)
    return loop.time() - started
