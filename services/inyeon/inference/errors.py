"""Errors of inference, beside those of the ground.

InyeonError
├── Unavailable            INFERENCE_UNAVAILABLE  nobody answers, or the breaker is open
│                          INFERENCE_BANK_BEHIND  the server's bank is older than ours and being fed
├── DeadlineExceeded       not within the budget
├── Overloaded             the queue is full
├── InvalidRequest         the caller's numbers: not finite, another shape, a space without a head
├── ModelFailed            MODEL_FAILED           an answer that is none
└── BankTooLarge           BANK_TOO_LARGE         more confirmed cases than the search may hold
"""

from __future__ import annotations

import grpc

from inyeon.runtime.errors import InyeonError, Unavailable

UNAVAILABLE = "INFERENCE_UNAVAILABLE"
BANK_BEHIND = "INFERENCE_BANK_BEHIND"


class ModelFailed(InyeonError):
    """The model answered with nothing, with another shape or type, or with no finite numbers."""

    code = grpc.StatusCode.INTERNAL
    reason = "MODEL_FAILED"


class BankTooLarge(InyeonError):
    """The banks hold more entries than an exact search may: what was loaded before stays."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "BANK_TOO_LARGE"


def unavailable(message: str, *, reason: str = UNAVAILABLE) -> Unavailable:
    """An Unavailable of inference."""
    return Unavailable(message, reason=reason)
