"""Errors of the gateway.

InyeonError
├── NotAllowed
│   └── CallRefused        GRANT_MISSING, GRANT_FOREIGN, GRANT_EXPIRED, MATCH_FOREIGN
├── PreconditionFailed
│   └── OutOfOrder         GRANT_FIRST: a signal came before a grant
└── Overloaded             the device does not read what its partner sends
"""

from __future__ import annotations

from inyeon.runtime.errors import NotAllowed, PreconditionFailed


class CallRefused(NotAllowed):
    """The grant does not give the right to this call."""

    reason = "GRANT_FOREIGN"


class OutOfOrder(PreconditionFailed):
    """The first message of signalling is the grant."""

    reason = "GRANT_FIRST"
