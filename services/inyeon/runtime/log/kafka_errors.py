"""What the client raises, in the words of the port."""

from __future__ import annotations

from kafka import errors

from inyeon.runtime.errors import LogError, LogUnavailable, RecordTooLarge, UnknownTopic

FENCED = (errors.FencedInstanceIdError,)
"""Another process runs under our name. The library goes on reading as if nothing had happened."""

NOT_NOW = (errors.RebalanceInProgressError, errors.IllegalGenerationError)
"""The group is sharing out; afterwards we know whether the partition is still ours."""

_TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)
_UNKNOWN = (errors.UnknownTopicOrPartitionError, errors.InvalidTopicError)


def port_error(error: BaseException, what: str) -> LogError | LogUnavailable:
    """The port's error for one of the client's. Whatever may pass is LogUnavailable: an operator
    repairs missing rights as well as dead brokers, and what waits in an outbox must survive both.
    """
    text = f"{what}: {type(error).__name__}: {error}"
    if isinstance(error, _TOO_LARGE):
        return RecordTooLarge(text, field="value")
    if isinstance(error, _UNKNOWN):
        return UnknownTopic(text, field="topic")
    return LogUnavailable(text)
