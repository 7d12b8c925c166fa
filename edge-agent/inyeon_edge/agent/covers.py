"""Who is covered and why. Several causes may hold at once; a picture is seen when none does."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from inyeon_edge.uplink.facts import Subject


class Cause(Enum):
    """Who covers."""

    LOCAL = "local"
    """My own device, on the first bad frame."""
    DIRECTIVE = "directive"
    """The platform."""
    INCOMING = "incoming"
    """My device's check of what arrives."""


Tell = Callable[[Subject, bool, Cause, str], None]


class Covers:
    """Causes by subject. Tells each new cause, and the end of the last one. Used by the loop
    only."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._causes: dict[Subject, dict[Cause, str]] = {each: {} for each in Subject}

    def set(self, subject: Subject, cause: Cause, on: bool, reason: str = "") -> bool:
        """Notes a cause or takes it away; True if that changed anything."""
        causes = self._causes[subject]
        if on == (cause in causes):
            return False
        if on:
            causes[cause] = reason
            self._tell(subject, True, cause, reason)
        else:
            ended = causes.pop(cause)
            if not causes:
                self._tell(subject, False, cause, reason or ended)
        return True

    def is_on(self, subject: Subject, cause: Cause | None = None) -> bool:
        """Whether a cause, or any, holds."""
        causes = self._causes[subject]
        return bool(causes) if cause is None else cause in causes

    def clear(self, subject: Subject) -> None:
        """Takes all causes away: the partner is gone."""
        for cause in tuple(self._causes[subject]):
            self.set(subject, cause, False)
