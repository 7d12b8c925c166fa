"""Errors of translation; `inyeon.runtime.errors` maps them to gRPC.

InyeonError
├── StatementRefused
│   └── GrantRefused           PERMISSION_DENIED    GRANT_FOREIGN, GRANT_EXPIRED, GRANT_UNREADABLE
├── PreconditionFailed
│   └── GrantMissing           FAILED_PRECONDITION  GRANT_MISSING: talking before showing a grant
├── Overloaded
│   └── TooManyHeld            RESOURCE_EXHAUSTED   HELD_FINALS: the partner takes nothing
└── SettingsRefused            the process does not start

Engine errors never leave the service; the next tier, or the original, answers instead.

EngineError
├── EngineUnavailable          stopped, hung, not installed: counts against the breaker
└── EngineRefused              the engine works but has no usable answer for this text
"""

from __future__ import annotations

from inyeon.runtime.errors import Overloaded, PreconditionFailed, StatementRefused


class GrantRefused(StatementRefused):
    """The match grant is not for this person, has ended, or cannot be read."""

    reason = "GRANT_FOREIGN"


class GrantMissing(PreconditionFailed):
    """The first message of a conversation is its grant."""

    reason = "GRANT_MISSING"


class TooManyHeld(Overloaded):
    """More finals wait for the partner's device than one conversation may hold."""

    reason = "HELD_FINALS"


class EngineError(Exception):
    """An engine has no answer. Its message never holds a text that people said."""


class EngineUnavailable(EngineError):
    """The engine is stopped, hung, broken or absent."""


class EngineRefused(EngineError):
    """The engine works, but not for this text or this pair."""
