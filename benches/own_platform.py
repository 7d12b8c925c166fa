"""An own platform on free ports of 127.0.0.1, for benches that need the whole of it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inyeon.cli.ports import free_ports

BIN = Path(sys.executable).parent
START_S = 60.0  # a cold platform on a busy machine; warm 3 s
STOP_S = 40.0  # the platform drains in 25 s, 15 s spare
PAUSE_S = 0.02  # between two questions whether it is ready


@dataclass(frozen=True, slots=True)
class OwnPlatform:
    """A running platform."""

    grpc_port: int
    http_port: int
    start_s: float
    """Seconds from the start of the process until it said that it is ready."""


@contextlib.contextmanager
def own_platform(folder: Path) -> Iterator[OwnPlatform]:
    """Runs `inyeon up` with its data in `folder`; raises SystemExit when it does not get ready."""
    grpc_port, internal_port, http_port = free_ports(3)
    environment = {
        **os.environ,
        "INYEON_DATA_DIR": str(folder / "platform"),
        "INYEON_GRPC_PORT": str(grpc_port),
        "INYEON_INTERNAL_PORT": str(internal_port),
        "INYEON_HTTP_PORT": str(http_port),
    }
    began = time.monotonic()
    with (folder / "platform.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [BIN / "inyeon", "up"], stdout=log, stderr=log, env=environment
        )
        try:
            _wait_ready(f"http://127.0.0.1:{http_port}/readyz", process, folder)
            yield OwnPlatform(grpc_port, http_port, time.monotonic() - began)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
            if process.poll() is None:
                process.kill()
                process.wait()


def _wait_ready(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(url, timeout=2) as answer,  # noqa: S310 - loopback
        ):
            if answer.status == 200:
                return
        time.sleep(PAUSE_S)
    sys.stderr.write((folder / "platform.log").read_text(errors="replace")[-4000:])
    raise SystemExit("the platform did not become ready")
