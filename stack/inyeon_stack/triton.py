"""tritonserver on a model repository, from a wheel in an environment of its own."""

from __future__ import annotations

import contextlib
import secrets
import urllib.error
import urllib.request
from pathlib import Path

from inyeon_stack.errors import EngineFailed
from inyeon_stack.ports import free_ports, require_free
from inyeon_stack.process import Process
from inyeon_stack.triton_place import ENGINE, Place, find_place

READY_S = 120.0  # 2 s and what the models' warm-up takes; without libpython it waits for ever
STOP_S = 20.0  # its own default of 30 s for calls under way is shortened below
EXIT_S = 10
GUARDED = "shared-memory,model-repository,statistics,trace,logging"


class Triton:
    """One server; models are loaded at its start and never changed by callers.

    `folder`: log and pid file. `repository`: folder of `<model>/config.pbtxt`. Each method may
    wait; none is for the event loop.
    """

    def __init__(
        self,
        folder: Path,
        repository: Path,
        grpc_port: int = 0,
        http_port: int = 0,
        *,
        metrics_port: int = 0,
    ) -> None:
        self._folder = folder.resolve()
        self._repository = repository.resolve()
        self._process = Process(ENGINE, self._folder)
        noted, free = self._process.ports, free_ports(3)
        self.grpc_port = noted.get("grpc") or grpc_port or free[0]
        self.http_port = noted.get("http") or http_port or free[1]
        self.metrics_port = noted.get("metrics") or metrics_port or free[2]

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._process.pid

    @property
    def pids(self) -> tuple[int, ...]:
        """The same as a tuple."""
        return () if self.pid is None else (self.pid,)

    @property
    def logs(self) -> tuple[Path, ...]:
        """What the server wrote."""
        return (self._process.log,)

    @property
    def addresses(self) -> tuple[str, ...]:
        """gRPC, HTTP, metrics."""
        return self.grpc, self.http, f"127.0.0.1:{self.metrics_port}"

    @property
    def grpc(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def http(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.http_port}"

    def require_ports(self) -> None:
        """Raises PortTaken where somebody else has one of its ports; nothing where it runs."""
        if self.pid is None:
            require_free(ENGINE, *self._ports().values())

    def start(self) -> None:
        """Starts and waits until every model is loaded and warm. Nothing where it runs. Raises
        EngineMissing, PortTaken, EngineFailed.
        """
        if self.pid is not None:
            return
        place = find_place()
        self.require_ports()
        if not self._repository.is_dir():
            raise EngineFailed(ENGINE, f"no model repository at {self._repository}")
        self._sweep()
        self._process.launch(self._argv(place), place.environment(), self._ports())
        try:
            self._process.await_ready(self._answers, READY_S)
        except BaseException:
            self._sweep()
            raise

    def stop(self) -> None:
        """Ends it in an orderly way. Nothing where it does not run."""
        self._process.stop(STOP_S)
        self._sweep()

    def kill(self) -> None:
        """SIGKILL for the server and its models' processes. Nothing where it does not run."""
        self._process.kill()
        self._sweep()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self._process.pause()

    def resume(self) -> None:
        """SIGCONT."""
        self._process.resume()

    def _ports(self) -> dict[str, int]:
        return {"grpc": self.grpc_port, "http": self.http_port, "metrics": self.metrics_port}

    def _argv(self, place: Place) -> list[str]:
        # Nobody is told the key: what it guards changes the server under its callers.
        key = f"inyeon-guard={secrets.token_urlsafe(24)}"
        return [
            str(place.program),
            f"--model-repository={self._repository}",
            f"--backend-directory={place.backends}",
            f"--backend-config=python,shm-region-prefix-name={self._new_prefix()}",
            "--model-control-mode=none",
            "--disable-auto-complete-config",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={self.grpc_port}",
            "--http-address=127.0.0.1",
            f"--http-port={self.http_port}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={self.metrics_port}",
            f"--grpc-restricted-protocol={GUARDED}:{key}",
            f"--http-restricted-api={GUARDED}:{key}",
            f"--exit-timeout-secs={EXIT_S}",
        ]

    def _answers(self) -> bool:
        url = f"http://{self.http}/v2/health/ready"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @property
    def _prefix_file(self) -> Path:
        return self._folder / "shm-prefix"

    def _new_prefix(self) -> str:
        prefix = f"inyeon-triton-{secrets.token_hex(8)}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._prefix_file.write_text(prefix)
        return prefix

    def _sweep(self) -> None:
        """Removes shared memory that a server killed while loading has left."""
        if not self._prefix_file.exists():
            return
        for region in Path("/dev/shm").glob(f"{self._prefix_file.read_text()}*"):  # noqa: S108
            with contextlib.suppress(OSError):
                region.unlink()
        self._prefix_file.unlink()
