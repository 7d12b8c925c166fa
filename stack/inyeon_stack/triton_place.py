"""Finds tritonserver and puts the one file in place that its wheel leaves out."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from inyeon_stack.errors import EngineMissing
from inyeon_stack.places import triton_environment

ENGINE = "triton"
OLDEST_GLIBC = (2, 35)  # the wheel's tag
ASK = (
    "import sysconfig as s, sys; "
    "print(f'{sys.version_info[0]}.{sys.version_info[1]}', s.get_config_var('LIBDIR'), "
    "s.get_config_var('INSTSONAME'), s.get_path('purelib'), sep='\\n')"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server's program, its backends, its interpreter's `bin` and libpython are."""

    program: Path
    backends: Path
    interpreter: Path
    libpython: Path

    def environment(self) -> dict[str, str]:
        """The models' Python is the first `python3` of the PATH; nothing may lead it elsewhere."""
        dropped = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
        own = {k: v for k, v in os.environ.items() if k not in dropped}
        libraries = [str(self.libpython), *filter(None, [own.get("LD_LIBRARY_PATH")])]
        path = os.pathsep.join([str(self.interpreter), own.get("PATH", os.defpath)])
        return own | {"PATH": path, "LD_LIBRARY_PATH": os.pathsep.join(libraries)}


def find_place() -> Place:
    """Raises EngineMissing, naming what is missing."""
    _require_glibc()
    environment = triton_environment()
    python = environment / "bin" / "python3"
    if not python.exists():
        reason = f"no environment at {environment} (`make engines` makes it)"
        raise EngineMissing(ENGINE, reason)
    version, libraries, name, packages = _ask(python)
    server = Path(packages) / "pytriton" / "tritonserver"
    if not (server / "bin" / "tritonserver").exists():
        raise EngineMissing(ENGINE, f"the package nvidia-pytriton is not in {environment}")
    if not name.startswith("libpython") or not (Path(libraries) / name).exists():
        reason = f"the Python of {environment} has no shared libpython, which its backend loads"
        raise EngineMissing(ENGINE, reason)
    _place_stub(server, version)
    program = server / "bin" / "tritonserver"
    return Place(program, server / "backends", python.parent, Path(libraries))


def _require_glibc() -> None:
    name, version = platform.libc_ver()
    if platform.machine() != "x86_64" or name != "glibc":
        reason = f"its wheel is for x86-64 with glibc, this is {platform.machine()} {name}"
        raise EngineMissing(ENGINE, reason)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_GLIBC:
        raise EngineMissing(ENGINE, f"its wheel needs glibc 2.35, this is {version}")


def _ask(python: Path) -> tuple[str, str, str, str]:
    said = subprocess.run(  # noqa: S603 - the environment's own interpreter
        [python, "-I", "-c", ASK], capture_output=True, text=True, timeout=30, check=True
    ).stdout.splitlines()
    version, libraries, name, packages = said
    return version, libraries, name, packages


def _place_stub(server: Path, version: str) -> None:
    """The wheel carries a stub for each Python; the backend looks for the one beside itself."""
    name = "triton_python_backend_stub"
    target = server / "backends" / "python" / name
    source = server / "python_backend_stubs" / version / name
    if not source.exists():
        raise EngineMissing(ENGINE, f"its wheel has no stub for Python {version}")
    if target.exists() and target.stat().st_size == source.stat().st_size:
        return
    draft = target.with_name(f"{name}.{os.getpid()}")
    shutil.copy2(source, draft)
    os.replace(draft, target)
