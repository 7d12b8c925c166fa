"""What can go wrong with an engine.

StackError
├── SettingRefused    a setting of the stack is none
├── EngineMissing     the engine cannot run on this machine: install what the reason names
└── EngineFailed      it should run here and did not; the tail of its log is in the message
    └── PortTaken     somebody else listens where it should
"""

from __future__ import annotations


class StackError(Exception):
    """Something about `engine`: kafka, postgresql or triton."""

    def __init__(self, engine: str, reason: str) -> None:
        super().__init__(f"{engine}: {reason}")
        self.engine = engine
        self.reason = reason


class SettingRefused(StackError):
    """`engine` is the name of the setting."""


class EngineMissing(StackError):
    """The engine cannot run here; `reason` names what is missing."""


class EngineFailed(StackError):
    """The engine did not start, or ended. `log_tail`: the last lines it wrote."""

    def __init__(self, engine: str, reason: str, log_tail: str = "") -> None:
        super().__init__(engine, f"{reason}\n{log_tail}" if log_tail else reason)
        self.log_tail = log_tail


class PortTaken(EngineFailed):
    """Somebody else listens on `port` of 127.0.0.1. `holder`: who, where we may know it."""

    def __init__(self, engine: str, port: int, holder: str = "another process") -> None:
        super().__init__(engine, f"{holder} listens on 127.0.0.1:{port}")
        self.port = port
