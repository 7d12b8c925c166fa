"""One Kafka node: broker and controller in one process."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from inyeon_stack import kafka_jars
from inyeon_stack.errors import EngineFailed
from inyeon_stack.java import find_java
from inyeon_stack.ports import require_free
from inyeon_stack.process import Process

ENGINE = "kafka"
FORMAT_S = 60.0  # 1.5 s measured; a busy machine takes ten times that
READY_S = 90.0  # 2 to 5 s; after kill -9 up to 9 s for its own old registration; busy: ten times
STOP_S = 30.0  # under 1 s; with clients connected it first moves leaders away
# Heap: loaded brokers took 320 to 400 MB in all. C1 only: starts in 2 s instead of 5.
JVM = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class KafkaNode:
    """Node `number` (from 1) of a cluster that `settings` and `cluster_id` describe."""

    def __init__(
        self,
        folder: Path,
        number: int,
        port: int,
        controller_port: int,
        settings: Callable[[], Mapping[str, str]],
        cluster_id: Callable[[], str],
    ) -> None:
        self.number = number
        self._folder = folder
        self._settings = settings
        self._cluster_id = cluster_id
        self._process = Process(ENGINE, folder)
        noted = self._process.ports
        self.port = noted.get("broker") or port
        self.controller_port = noted.get("controller") or controller_port
        self.advertised_port = self.port
        """Where clients are told to find it, from its next start on: its own port, or that of a
        proxy before it."""

    @property
    def server(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._process.pid

    @property
    def log(self) -> Path:
        """What the node wrote."""
        return self._process.log

    def require_ports(self) -> None:
        """Raises PortTaken where somebody else has one of its ports; nothing where it runs."""
        if self.pid is None:
            require_free(ENGINE, *self._ports().values())

    def start(self) -> None:
        """Starts and waits until it serves; in a cluster that needs a majority. Nothing where it
        runs. Raises EngineMissing, PortTaken, EngineFailed.
        """
        if self.pid is None:
            self.launch()
            self.await_ready()

    def launch(self) -> None:
        """Starts without waiting; formats its folder the first time. It must not be running."""
        self.require_ports()
        java, libs = find_java(ENGINE), kafka_jars.install()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write_settings(libs)
        if not (self._data / "meta.properties").exists():
            self._format(java, libs)
        argv = [*self._java(java, libs), "kafka.Kafka", str(self._properties)]
        self._process.launch(argv, _environment(), self._ports())

    def await_ready(self) -> None:
        """Waits until what `launch` started serves. Raises EngineFailed; the node is then ended."""
        self._process.await_ready(lambda: self._process.says("Kafka Server started"), READY_S)

    def stop(self) -> None:
        """Ends it in an orderly way. Nothing where it does not run."""
        self._process.stop(STOP_S)

    def kill(self) -> None:
        """SIGKILL. Nothing where it does not run."""
        self._process.kill()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self._process.pause()

    def resume(self) -> None:
        """SIGCONT."""
        self._process.resume()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _properties(self) -> Path:
        return self._folder / "server.properties"

    def _ports(self) -> dict[str, int]:
        return {"broker": self.port, "controller": self.controller_port}

    def _write_settings(self, libs: Path) -> None:
        lines = {
            **self._settings(),
            "node.id": str(self.number),
            "listeners": f"PLAINTEXT://{self.server},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.advertised_port}",
            "log.dirs": str(self._data),
        }
        self._properties.write_text("".join(f"{k}={v}\n" for k, v in lines.items()))
        (self._folder / "log4j2.properties").write_text(LOGGING)

    def _format(self, java: str, libs: Path) -> None:
        tool = [*self._java(java, libs), "kafka.tools.StorageTool", "format"]
        ran = subprocess.run(  # noqa: S603 - the broker's own tool
            [*tool, "-t", self._cluster_id(), "-c", str(self._properties)],
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=FORMAT_S,
            check=False,
        )
        if ran.returncode != 0:
            raise EngineFailed(
                ENGINE, "the storage tool refused", (ran.stdout + ran.stderr)[-2000:]
            )

    def _java(self, java: str, libs: Path) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}"
        return [java, *JVM, "-Djava.net.preferIPv4Stack=true", logging, "-cp", f"{libs}/*"]


def _environment() -> dict[str, str]:
    """The JVM must not take options meant for others."""
    dropped = {"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH"}
    return {k: v for k, v in os.environ.items() if k not in dropped}


LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
"""
