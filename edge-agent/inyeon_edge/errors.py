"""Errors of the device agent. Each has a reason (UPPER_SNAKE) and, where it applies, a field.

EdgeError
├── SettingsRefused           the process does not start: exit code 2
├── InputRefused              a line, a command or a file from the person is not as it must be
├── ShapeError                an array has not the shape, dtype or range that it must have
├── ModelError                a model file is absent, truncated or of another form
│   ├── ModelMissing          the file, or its line in index.json, is not there
│   └── ModelCorrupt          its SHA-256 differs, or no engine can read it
├── SourceError               a picture source cannot be opened or read
│   ├── UnknownSource         the text names no source that we know
│   ├── UndecodableSource     there is something, but no picture can be read from it
│   └── CameraVanished        it gave pictures and stopped
├── OutputError               a picture cannot be handed on
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


class ShapeError(EdgeError):
    """An array has not the shape, dtype or range that the reader needs; `field` names it."""

    reason = "SHAPE_MISMATCH"


class InputRefused(EdgeError):
    """A line, a command or a file from the person is not as it must be; nothing else changes."""

    reason = "INVALID_INPUT"


class ModelError(EdgeError):
    """A model file is absent, truncated or not what its name says; `field` names the file."""

    reason = "MODEL_UNUSABLE"


class ModelMissing(ModelError):
    """The model's file, or its line in index.json, is not there: build the models first."""

    reason = "MODEL_MISSING"


class ModelCorrupt(ModelError):
    """The model's file is truncated, changed or unreadable for its engine."""

    reason = "MODEL_CORRUPT"


class SourceError(EdgeError):
    """A picture source cannot be opened or read."""

    reason = "SOURCE_UNUSABLE"


class UnknownSource(SourceError):
    """The text names no source; `field` holds the text."""

    reason = "SOURCE_UNKNOWN"


class UndecodableSource(SourceError):
    """The file exists but no picture can be read from it; the message says why."""

    reason = "SOURCE_UNDECODABLE"


class CameraVanished(SourceError):
    """A source that worked gives no picture any more, or its file is gone."""

    reason = "CAMERA_VANISHED"


class OutputError(EdgeError):
    """A picture cannot be handed on: file not writable, address taken."""

    reason = "OUTPUT_UNUSABLE"


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
        self,
        message: str,
        *,
        code: str,
        reason: str | None = None,
        field: str = "",
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(message, reason=reason, field=field)
        self.code = code
        """Name of the gRPC code, such as INVALID_ARGUMENT."""
        self.retry_after_s = retry_after_s
        """How long the platform asks to wait; 0 where it did not say."""


class OutboxFull(UplinkError):
    """Too many messages wait for the platform; this one was not taken."""

    reason = "OUTBOX_FULL"


class RingUnusable(UplinkError):
    """The ring's file cannot be opened or written."""

    reason = "RING_UNUSABLE"


class CallFailed(UplinkError):
    """The call with the partner could not be set up."""

    reason = "CALL_FAILED"
