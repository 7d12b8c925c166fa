"""The two platforms that the demo runs on: one process, or one for each service on real engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inyeon.cli.cluster.children import END_S, START_S
from inyeon.cli.cluster.plan import DEVICES

ALONE_START_S = 60.0  # warm 3 s; a cold disk and a busy machine take ten times that
ALONE_END_S = 8.0  # its streams have ended with the devices; what is left takes 5 s
SPARE_S = 5.0
ALONE_MEMORY_BYTES = 2_000_000_000
# Five services are five interpreters with their libraries, 110 MB each; the engines come on top.
CLUSTER_MEMORY_BYTES = 3_000_000_000


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the platform listens: host:port for agents and http://host:port/ for people, by
    service.
    """

    endpoints: Mapping[str, str]
    pages: Mapping[str, str]

    @property
    def page(self) -> str:
        """The status page; empty while it is not known."""
        return self.pages.get("gateway", "")

    def url(self, path: str) -> str:
        """Of a page, whose path begins with the name of its service; the gateway has the others."""
        first = path.split("/")[1]
        return (self.pages.get(first) or self.page).rstrip("/") + path


UNKNOWN = Addresses({}, {})


@dataclass(frozen=True, slots=True)
class Launch:
    """How the platform is started."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    start_s: float
    end_s: float
    memory_bytes: int
    """Resident memory that the demo, the platform and the devices may take together."""
    addresses: Addresses = UNKNOWN
    """UNKNOWN: the platform says them on stdout when it is ready."""


def alone(folder: Path, grpc_port: int, internal_port: int, http_port: int) -> Launch:
    """`inyeon up` on data in the folder."""
    page = f"http://127.0.0.1:{http_port}/"
    environment = {
        "INYEON_DATA_DIR": str(folder / "platform"),
        "INYEON_GRPC_PORT": str(grpc_port),
        "INYEON_INTERNAL_PORT": str(internal_port),
        "INYEON_HTTP_PORT": str(http_port),
    }
    addresses = Addresses(
        dict.fromkeys(DEVICES, f"127.0.0.1:{grpc_port}"), dict.fromkeys(DEVICES, page)
    )
    return Launch(
        ("inyeon", "up"), environment, ALONE_START_S, ALONE_END_S, ALONE_MEMORY_BYTES, addresses
    )


def cluster(stack_file: Path, *, free_ports: bool) -> Launch:
    """`inyeon up --stack` on engines that run; its keys stay with their data."""
    command = ["inyeon", "up", "--stack", "--json", "--stack-file", str(stack_file)]
    if free_ports:
        command.append("--free-ports")
    return Launch(tuple(command), {}, START_S + SPARE_S, END_S + SPARE_S, CLUSTER_MEMORY_BYTES)


def addresses_of(event: Mapping[str, Any]) -> Addresses | None:
    """What the platform says of itself when it is ready; None for any other event."""
    if event.get("event") != "ready":
        return None
    return Addresses(dict(event["endpoints"]), dict(event["pages"]))
