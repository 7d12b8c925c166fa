"""Errors of moderation. Each derives from one of the ground's, which gives the gRPC code.

ModerationError
├── WindowRefused (InvalidRequest)       INVALID_ARGUMENT    names the field of the window
├── PolicyRefused (SettingsRefused)      the process does not start; names the file and the place in
it
├── CaseMissing (NotFound)               NOT_FOUND           CASE_NOT_FOUND
├── CaseClosed (PreconditionFailed)      FAILED_PRECONDITION CASE_CLOSED
├── PageRefused (InvalidRequest)         INVALID_ARGUMENT    page_token
├── OwnSelf (InvalidRequest)             INVALID_ARGUMENT    a person reports or blocks themselves
├── EntryMissing (NotFound)              NOT_FOUND           BANK_ENTRY_NOT_FOUND
├── NotInMatch (NotAllowed)              PERMISSION_DENIED   NOT_IN_MATCH
├── EvidenceOff (NotAllowed)             PERMISSION_DENIED   EVIDENCE_OFF, CONSENT_MISSING
├── EvidenceNotAsked (PreconditionFailed) FAILED_PRECONDITION EVIDENCE_NOT_ASKED
├── PictureRefused (InvalidRequest)      INVALID_ARGUMENT    jpeg: PICTURE_REFUSED; never quotes it
├── PicturesFull (Overloaded)            RESOURCE_EXHAUSTED  PICTURES_FULL
└── ReviewerNeeded (NotAllowed)          PERMISSION_DENIED   ROLE_MISSING
"""

from __future__ import annotations

from inyeon.runtime.errors import (
    InvalidRequest,
    InyeonError,
    NotAllowed,
    NotFound,
    Overloaded,
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


class EntryMissing(ModerationError, NotFound):
    """There is no such bank entry."""

    reason = "BANK_ENTRY_NOT_FOUND"


class EvidenceOff(ModerationError, NotAllowed):
    """The policy asks for no pictures, or the person did not agree."""

    reason = "EVIDENCE_OFF"


class EvidenceNotAsked(ModerationError, PreconditionFailed):
    """Nobody asked this person for a picture now: no such directive, somebody else's, over, or
    answered before."""

    reason = "EVIDENCE_NOT_ASKED"


class PictureRefused(ModerationError, InvalidRequest):
    """The bytes are no picture of the size allowed. Says what is wrong, never what was seen."""

    reason = "PICTURE_REFUSED"


class PicturesFull(ModerationError, Overloaded):
    """As many pictures are in memory as may be."""

    reason = "PICTURES_FULL"
