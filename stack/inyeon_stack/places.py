"""Where things lie: in one folder, STACK_FOLDER, by default build/stack of the checkout."""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def stack_folder() -> Path:
    """Programs, data and logs of the stack."""
    return Path(os.environ.get("STACK_FOLDER") or CHECKOUT / "build" / "stack").resolve()


def kafka_libs() -> Path:
    """The broker's jars, as Maven brought them and the lock file confirmed."""
    return stack_folder() / "kafka" / "libs"


def triton_environment() -> Path:
    """The Python environment that tritonserver and its models run in."""
    return stack_folder() / "triton"
