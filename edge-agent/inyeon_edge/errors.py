"""Errors of the device agent. Each has a reason (UPPER_SNAKE) and, where it applies, a field.

EdgeError
├── SettingsRefused           the process does not start: exit code 2
├── ModelError                a model file is absent, truncated or of another form
├── SourceError               a picture source cannot be opened or read
└── UplinkError               towards the platform
    ├── StreamBroken          the connection broke; the session resumes
    ├── StreamRefused         the platform answered with an error: code, reason, field
    ├── OutboxFull            too much waits to be sent
    ├── RingUnusable          the ring's file cannot be used
    └── CallFailed            the call could not be set up
"""

from __future__ import annotations


class EdgeError(Exception):
    """Root of every error that the agent raises on purpose."""

    reason: str = "EDGE_ERROR"

    def __init__(self, message: str, *, reason: str | None = None, field: str = "") -> None:
        super().__init__(message)
        self.reason = reason or type(self).reason
        self.field = field


class SettingsRefused(EdgeError):
    """A setting is missing, unknown or out of its range."""

    reason = "SETTINGS_REFUSED"


class ModelError(EdgeError):
    """A model file is absent, truncated or not what its name says."""

    reason = "MODEL_UNUSABLE"


class SourceError(EdgeError):
    """A picture source cannot be opened or read."""

    reason = "SOURCE_UNUSABLE"


class UplinkError(EdgeError):
    """Something between the device and the platform."""

    reason = "UPLINK_ERROR"


class StreamBroken(UplinkError):
    """The connection is gone; what was not acknowledged is sent again."""

    reason = "STREAM_BROKEN"


class StreamRefused(UplinkError):
    """The platform answered with an error that a new connection alone does not heal."""

    reason = "STREAM_REFUSED"

    def __init__(
        self, message: str, *, code: str, reason: str | None = None, field: str = ""
    ) -> None:
        super().__init__(message, reason=reason, field=field)
        self.code = code
        """Name of the gRPC code, such as INVALID_ARGUMENT."""


class OutboxFull(UplinkError):
    """Too many messages wait for the platform; this one was not taken."""

    reason = "OUTBOX_FULL"


class RingUnusable(UplinkError):
    """The ring's file cannot be opened or written."""

    reason = "RING_UNUSABLE"


class CallFailed(UplinkError):
    """The call with the partner could not be set up."""

    reason = "CALL_FAILED"
