"""Is somebody there: faces first, the body where no face is seen, never the mask alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inyeon_edge.frame import Image
from inyeon_edge.temporal.presence import PresenceRule, PresenceSmoother
from inyeon_edge.vision.anchors import Box, overlap
from inyeon_edge.vision.results import Presence

Detect = Callable[[Image], list[Box]]

POSE_AREA = 0.03  # person = face_full >= 0.5 or (pose >= 0.5 and area >= 0.03)
SAME_FACE = 0.3  # overlap of the short-range box with the confirmed one; heads move < 1/3 in 0.5 s


@dataclass(frozen=True)
class PresenceCadence:
    """How often each detector may run, seconds. One-core costs: full 4, short 1.3, pose 12 ms."""

    look_s: float = 0.1
    """Somebody is there: 10 looks a second, 8 of them by the short-range model."""
    idle_look_s: float = 0.2
    """Nobody is there: 5 looks a second, so an arrival is told within 1 s."""
    confirm_s: float = 0.5
    """A face that full range found is followed by short range for so long, then confirmed anew."""
    pose_s: float = 0.5
    """While no face is seen."""


class PresenceWatch:
    """Looks at pictures as often as its cadence allows and tells the smoothed state."""

    def __init__(
        self,
        face_full: Detect,
        face_short: Detect,
        pose: Detect,
        cadence: PresenceCadence | None = None,
        rule: PresenceRule | None = None,
    ) -> None:
        self._full, self._short, self._pose = face_full, face_short, pose
        self._cadence = cadence or PresenceCadence()
        self._smoother = PresenceSmoother(rule)
        self._looked_s: float | None = None
        self._confirmed_s = 0.0
        self._faces: list[Box] = []
        self._posed_s: float | None = None
        self._body = False
        self.people = 0
        """Number seen at the latest look, before smoothing."""

    @property
    def state(self) -> Presence:
        """The smoothed state; UNKNOWN before enough looks."""
        smooth = self._smoother.people
        if smooth is None:
            return Presence.UNKNOWN
        return (Presence.AWAY, Presence.ALONE, Presence.SEVERAL)[smooth]

    def __call__(self, image: Image, area: float, at_s: float) -> Presence:
        """Looks if a look is due. `area` is the mask's share of person; `at_s` monotonic."""
        if self._due(at_s):
            self._looked_s = at_s
            self.people = self._look(image, area, at_s)
            self._smoother(at_s, self.people)
        return self.state

    def forget(self) -> None:
        """Nothing is known any more: the source changed or gave no picture."""
        self._smoother.forget()
        self._looked_s, self._posed_s = None, None
        self._faces, self._body, self.people = [], False, 0

    def _due(self, at_s: float) -> bool:
        wait_s = self._cadence.look_s if self.people else self._cadence.idle_look_s
        return _passed(self._looked_s, at_s, wait_s)

    def _look(self, image: Image, area: float, at_s: float) -> int:
        if self._followed(image, at_s):
            return len(self._faces)
        self._faces = self._full(image)
        if self._faces:
            self._confirmed_s, self._body, self._posed_s = at_s, False, None
            return len(self._faces)
        return int(self._body_seen(image, area, at_s))

    def _followed(self, image: Image, at_s: float) -> bool:
        # Several people are counted by full range every time: short range misses the far ones.
        if len(self._faces) != 1 or _passed(self._confirmed_s, at_s, self._cadence.confirm_s):
            return False
        return any(overlap(box, self._faces[0]) >= SAME_FACE for box in self._short(image))

    def _body_seen(self, image: Image, area: float, at_s: float) -> bool:
        if area < POSE_AREA:
            return False  # pose cannot decide then: 12 ms saved in every empty room
        if _passed(self._posed_s, at_s, self._cadence.pose_s):
            self._posed_s, self._body = at_s, bool(self._pose(image))
        return self._body


def _passed(since_s: float | None, at_s: float, wait_s: float) -> bool:
    # A clock that jumps back counts as passed; a twentieth forgives timers that fire early.
    return since_s is None or at_s < since_s or at_s - since_s >= wait_s * 0.95
