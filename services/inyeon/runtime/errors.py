"""Errors of the ground. Each has a gRPC code, a reason (UPPER_SNAKE, for ErrorInfo) and, where it
applies, a field.

InyeonError
├── InvalidRequest            INVALID_ARGUMENT   names the field
├── NotAuthenticated          UNAUTHENTICATED    TOKEN_MISSING, TOKEN_EXPIRED, TOKEN_INVALID,
TOKEN_FOREIGN
├── NotAllowed                PERMISSION_DENIED
│   └── StatementRefused      a pass or a grant that does not hold
├── NotFound                  NOT_FOUND
├── Conflict                  ABORTED
│   └── SessionSuperseded     the session has a higher epoch elsewhere
├── PreconditionFailed        FAILED_PRECONDITION
│   └── SessionOver           the stream is gone
├── Overloaded                RESOURCE_EXHAUSTED  carries retry_after_s
├── DeadlineExceeded          DEADLINE_EXCEEDED
├── Unavailable               UNAVAILABLE
│   ├── LogUnavailable
│   └── StoreUnavailable
│       └── StoreBusy         a lock or a connection was not free in time
│           └── StoreConflict other transactions were first; nothing was written
├── LogError                  INTERNAL
│   ├── UnknownTopic
│   ├── TopicMismatch
│   ├── RecordTooLarge
│   ├── InvalidRecord         names the field
│   ├── LogFenced
│   ├── LogCorrupt            the file is truncated, garbage or of a newer version
│   └── ConsumerStopped       too many poison records
├── StoreError                INTERNAL
│   ├── StoreCorrupt          the file is truncated or garbage
│   └── MigrationFailed       the tables could not be brought to the newest revision
└── SettingsRefused           the process does not start

Services derive their own trees from these classes; one interceptor maps them by `code`, `reason`
and `field`.
"""

from __future__ import annotations

from typing import ClassVar

import grpc


class InyeonError(Exception):
    """Root of every error that we raise on purpose."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL
    reason: str = "INTERNAL"

    def __init__(self, message: str, *, reason: str | None = None, field: str = "") -> None:
        super().__init__(message)
        self.reason = reason or type(self).reason
        self.field = field


class InvalidRequest(InyeonError):
    """A field is not as the contract says."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = "INVALID_FIELD"


class NotAuthenticated(InyeonError):
    """The caller did not prove who it is."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason = "TOKEN_INVALID"


class NotAllowed(InyeonError):
    """The caller may not do this."""

    code = grpc.StatusCode.PERMISSION_DENIED
    reason = "NOT_ALLOWED"


class StatementRefused(NotAllowed):
    """A signed statement is foreign, forged, expired or about somebody else."""

    reason = "STATEMENT_REFUSED"


class NotFound(InyeonError):
    """There is no such thing."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "NOT_FOUND"


class Conflict(InyeonError):
    """Somebody else was first."""

    code = grpc.StatusCode.ABORTED
    reason = "CONFLICT"


class SessionSuperseded(Conflict):
    """The session was opened elsewhere with a higher epoch."""

    reason = "SESSION_SUPERSEDED"


class PreconditionFailed(InyeonError):
    """Not in this state."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "PRECONDITION_FAILED"


class SessionOver(PreconditionFailed):
    """The stream is gone."""

    reason = "SESSION_OVER"


class Overloaded(InyeonError):
    """Too much at once; try again after `retry_after_s`."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = "OVERLOADED"

    def __init__(
        self, message: str, *, retry_after_s: float = 1.0, reason: str | None = None
    ) -> None:
        super().__init__(message, reason=reason)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(InyeonError):
    """The caller's time is over."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"


class Unavailable(InyeonError):
    """A dependency is away; trying again may help."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = "UNAVAILABLE"


class LogUnavailable(Unavailable):
    """The log is away."""

    reason = "LOG_UNAVAILABLE"


class StoreUnavailable(Unavailable):
    """The store is away or busy for too long."""

    reason = "STORE_UNAVAILABLE"


class StoreBusy(StoreUnavailable):
    """A lock or a connection was not free in time; nothing was written."""

    reason = "STORE_BUSY"


class StoreConflict(StoreBusy):
    """The database chose another transaction over this one (deadlock, serialization); nothing was
    written, and the whole may be done again."""


class LogError(InyeonError):
    """Wrong use of the log, or a log that cannot be used."""

    reason = "LOG_ERROR"


class UnknownTopic(LogError):
    """The topic was never created."""

    reason = "UNKNOWN_TOPIC"


class TopicMismatch(LogError):
    """The topic exists with another number of partitions."""

    reason = "TOPIC_MISMATCH"


class RecordTooLarge(LogError):
    """The record is over the limit."""

    reason = "RECORD_TOO_LARGE"


class LogFenced(LogError):
    """Another member holds the partition now."""

    reason = "LOG_FENCED"


class InvalidRecord(LogError):
    """A field of a record is not as the log wants it."""

    reason = "INVALID_RECORD"


class LogCorrupt(LogError):
    """The file is truncated, garbage, foreign or of a newer version."""

    reason = "LOG_CORRUPT"


class ConsumerStopped(LogError):
    """Too many poison records: rather stop than divert everything."""

    reason = "CONSUMER_STOPPED"


class StoreError(InyeonError):
    """A store that cannot be used."""

    reason = "STORE_ERROR"


class StoreCorrupt(StoreError):
    """The file is truncated, garbage or foreign."""

    reason = "STORE_CORRUPT"


class MigrationFailed(StoreError):
    """The tables could not be brought to the newest revision."""

    reason = "MIGRATION_FAILED"


class SettingsRefused(InyeonError):
    """Settings are missing, unknown or unsafe; the process does not start."""

    reason = "SETTINGS_REFUSED"
