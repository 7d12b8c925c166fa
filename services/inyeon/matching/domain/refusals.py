"""What the domain says when a wish cannot be taken."""

from __future__ import annotations


class Refused(ValueError):
    """Something given cannot be taken. `field` names the part, `reason` is a code; the message
    begins with the field."""

    def __init__(self, field: str, reason: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.reason = reason


class WishRefused(ValueError):
    """A part of a wish is not as it must be. `field` names it, `reason` is a code."""

    def __init__(self, field: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason
