"""When the device covers by itself, at once, and when it may uncover again."""

from __future__ import annotations

from collections.abc import Mapping

DEFAULT_COVER_AT: Mapping[str, float] = {
    "Drawing": 0.8,
    "Hentai": 0.6,
    "Porn": 0.6,
    # Harmless far bodies reach 0.886 on one picture (tfjs_pose.jpg): only near certainty covers.
    "Sexy": 0.95,
}
"""Until the platform says its policy. Covering too much costs a moment, too little costs trust."""

QUIET_S = 1.5  # three scored frames at 2/s below the bar: one lucky frame does not uncover
QUIET_SHARE = 0.75  # of the bar: a score that trembles around it stays covered


class LocalCover:
    """Covers at the first score at its bar; uncovers when quiet and the verdict is CLEAR.

    Scores are of the picture as it would be sent without the cover: the card itself is always
    harmless, so scoring it would uncover whatever lies beneath.
    """

    def __init__(self, cover_at: Mapping[str, float] | None = None) -> None:
        self._cover_at = dict(DEFAULT_COVER_AT if cover_at is None else cover_at)
        self._quiet_since_s: float | None = None
        self._reason = ""
        self.verdict_clear = False
        """Whether the platform's verdict is CLEAR now; the agent's wiring sets it."""

    @property
    def covered(self) -> bool:
        """The picture must be covered."""
        return bool(self._reason)

    @property
    def reason(self) -> str:
        """LOCAL_<CLASS> of the score that covered; empty where it is not covered."""
        return self._reason

    def use_policy(self, cover_at: Mapping[str, float]) -> None:
        """The bars of the policy in force; class name to probability. Empty keeps those we have."""
        if cover_at:
            self._cover_at = dict(cover_at)

    def scored(self, by_class: Mapping[str, float], at_s: float) -> bool:
        """Takes one score; returns whether the picture is covered now."""
        worst = self._worst(by_class, 1.0)
        if worst:
            self._reason, self._quiet_since_s = f"LOCAL_{worst.upper()}", None
        elif self.covered:
            self._cool(by_class, at_s)
        return self.covered

    def _cool(self, by_class: Mapping[str, float], at_s: float) -> None:
        if self._worst(by_class, QUIET_SHARE):
            self._quiet_since_s = None
            return
        if self._quiet_since_s is None or at_s < self._quiet_since_s:
            self._quiet_since_s = at_s
        if self.verdict_clear and at_s - self._quiet_since_s >= QUIET_S:
            self._reason = ""

    def _worst(self, by_class: Mapping[str, float], share: float) -> str:
        over = {
            name: by_class[name] / bar if bar > 0 else 2.0
            for name, bar in self._cover_at.items()
            if name in by_class and by_class[name] >= bar * share
        }
        return max(over, key=lambda name: over[name]) if over else ""
