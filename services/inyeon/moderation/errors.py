"""Errors of moderation. Each derives from one of the ground's, which gives the gRPC code.

ModerationError
├── WindowRefused (InvalidRequest)       INVALID_ARGUMENT    names the field of the window
├── PolicyRefused (SettingsRefused)      the process does not start; names the file and the place in
it ├── CaseMissing (NotFound)               NOT_FOUND           CASE_NOT_FOUND
├── CaseClosed (PreconditionFailed)      FAILED_PRECONDITION CASE_CLOSED
├── PageRefused (InvalidRequest)         INVALID_ARGUMENT    page_token
├── OwnSelf (InvalidRequest)             INVALID_ARGUMENT    a person reports or blocks themselves
├── NotInMatch (NotAllowed)              PERMISSION_DENIED   NOT_IN_MATCH
└── ReviewerNeeded (NotAllowed)          PERMISSION_DENIED   ROLE_MISSING
"""

from __future__ import annotations

from inyeon.runtime.errors import (
    InvalidRequest,
    InyeonError,
    NotAllowed,
    NotFound,
    PreconditionFailed,
    SettingsRefused,
)


class ModerationError(InyeonError):
    """Root of moderation's own errors."""


class WindowRefused(ModerationError, InvalidRequest):
    """A window is not as the contract says; `field` is its path from the message."""

    reason = "WINDOW_REFUSED"


class PolicyRefused(ModerationError, SettingsRefused):
    """A policy file is not one; the message names the file, the place in it and why."""

    reason = "POLICY_REFUSED"


class CaseMissing(ModerationError, NotFound):
    """There is no such case."""

    reason = "CASE_NOT_FOUND"


class CaseClosed(ModerationError, PreconditionFailed):
    """Somebody decided before."""

    reason = "CASE_CLOSED"


class PageRefused(ModerationError, InvalidRequest):
    """A page token that this service never gave."""

    reason = "PAGE_TOKEN_INVALID"


class OwnSelf(ModerationError, InvalidRequest):
    """The other person is the caller."""

    reason = "OWN_SELF"


class NotInMatch(ModerationError, NotAllowed):
    """Reporter and reported were not in that match."""

    reason = "NOT_IN_MATCH"


class ReviewerNeeded(ModerationError, NotAllowed):
    """The token lacks the role."""

    reason = "ROLE_MISSING"
