"""Looks at what people say before it is translated and after, and tells people who decide about it.

Nothing here fails: a text that could not be looked at comes back with the reason, and a caption
never waits longer for its screen than the budget says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from inyeon.inference.errors import ModelFailed
from inyeon.inference.text import TextScreen
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import DeadlineExceeded, InvalidRequest, Overloaded
from inyeon.runtime.ratelimit import Rate, RateLimiter
from inyeon.translation.domain.screening import Action, Judgement, Miss, Policy, Seen

# A revision comes every 150 to 250 ms and a sentence takes 5 ms: a partial that waits longer for
# its screen is late, and its final has time for a queue of 64 sentences.
PARTIAL_S = 0.1
FINAL_S = 0.4

# One person's flagged lines: three at once, then one a minute. Reviewers judge a person, not lines,
# and a person who floods must not hide others.
ESCALATIONS = Rate(per_s=1 / 60, burst=3)

ORIGINAL = "original"
TRANSLATION = "translation"


@dataclass(frozen=True, slots=True)
class Flag:
    """A flagged final, without a word of it."""

    escalation_id: str
    """The same for the same final, however often its device repeats it."""
    user_id: str
    session_id: str
    match_id: str
    reason: str
    policy_version: str
    seen: Seen
    translated: bool
    raised_at: datetime


class Flags(Protocol):
    """Tells moderation."""

    async def raise_flag(self, flag: Flag) -> bool:
        """Keeps a flag for the log; True where it is committed, False where that has to wait. Takes
        at most 0.5 s and never raises."""
        ...


class ScreenObserver(Protocol):
    """Counts what the screen does. Gets sides and outcomes, never a text, never a person."""

    def screened(self, side: str, outcome: str, seconds: float) -> None:
        """A side was looked at: allow, mask, withhold, or the reason why not in small letters."""
        ...

    def escalated(self, outcome: str) -> None:
        """A flag was committed, delayed, limited."""
        ...


class Screening:
    """The text screen under a policy. Without a screen every look is a Miss.OFF, or Miss.ABSENT
    where one is `wanted`."""

    def __init__(
        self,
        screen: TextScreen | None,
        policy: Policy,
        flags: Flags,
        clock: Clock,
        observer: ScreenObserver,
        *,
        wanted: bool = False,
    ) -> None:
        self._screen = screen
        self._missing = Miss.ABSENT if wanted else Miss.OFF
        self._flags = flags
        self._clock = clock
        self._observer = observer
        self._limiter = RateLimiter(clock)
        self.policy = policy

    @property
    def unscreened(self) -> Action:
        """What happens to a final that nobody could look at."""
        return self.policy.unscreened

    async def look(self, side: str, text: str, language: str, budget_s: float) -> Judgement:
        """What the policy says of a text in this language (empty: unknown)."""
        if self._screen is None:
            return Judgement(miss=self._missing)
        started = self._clock.monotonic()
        judged = await self._judge(self._screen, text, language, budget_s)
        outcome = judged.action.name if judged.miss is None else judged.miss.value
        self._observer.screened(side, outcome.lower(), self._clock.monotonic() - started)
        return judged

    async def escalate(self, flag: Flag) -> None:
        """Hands a flag over, unless this person's were many already."""
        try:
            self._limiter.take(flag.user_id, "escalation", ESCALATIONS)
        except Overloaded:
            self._observer.escalated("limited")
            return
        committed = await self._flags.raise_flag(flag)
        self._observer.escalated("committed" if committed else "delayed")

    async def _judge(
        self, screen: TextScreen, text: str, language: str, budget_s: float
    ) -> Judgement:
        try:
            found = await screen.screen(text, language, budget_s)
        except InvalidRequest as error:
            known = error.reason in Miss.__members__
            return Judgement(miss=Miss[error.reason] if known else Miss.FAILED)
        except DeadlineExceeded:
            return Judgement(miss=Miss.LATE)
        except Overloaded:
            return Judgement(miss=Miss.OVERLOADED)
        except ModelFailed:
            return Judgement(miss=Miss.FAILED)
        scores = dict(zip(found.classes, found.scores, strict=True))
        return self.policy.judge(Seen(scores, language, found.model, found.version))
