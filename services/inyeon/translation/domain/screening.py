"""What happens to a sentence after a text screen has scored it: pure policy, from data.

Both sides of a translation are looked at. A clean sentence whose translation is not is the
translator's fault and nobody else's; a flagged sentence stays flagged, however it translates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum


class Action(Enum):
    """What to do with a sentence, from the mildest."""

    ALLOW = 1
    MASK = 2
    WITHHOLD = 3


class Screen(Enum):
    """How a caption is marked; the numbers are the contract's."""

    OFF = 0
    CLEAR = 1
    SENSITIVE = 2
    WITHHELD = 3
    UNSCREENED = 4


class Miss(Enum):
    """Why a sentence was not looked at."""

    OFF = "OFF"
    """The operator wants no screen."""
    ABSENT = "ABSENT"
    """The operator wants one and there is none: in development without model files."""
    LATE = "LATE"
    OVERLOADED = "OVERLOADED"
    FAILED = "FAILED"
    LANGUAGE_UNKNOWN = "LANGUAGE_UNKNOWN"
    TEXT_TOO_LONG = "TEXT_TOO_LONG"

    @property
    def passing(self) -> bool:
        """The screen is in trouble just now: what can wait for its final waits."""
        return self in (Miss.LATE, Miss.OVERLOADED, Miss.FAILED)


ARTEFACT = "TRANSLATION_FLAGGED"
"""The translator said what the author did not: the original is shown instead."""
WITHHELD_TEXT = "•••"
"""What stands for a withheld text where a device knows nothing better."""


@dataclass(frozen=True, slots=True)
class Rule:
    """From which probability of any of `classes` on a sentence is masked, withheld, escalated; None
    never does."""

    reason: str
    classes: tuple[str, ...]
    mask: float | None = None
    withhold: float | None = None
    escalate: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """Scores of a sentence by class, [0, 1], and the language that it was taken for."""

    scores: Mapping[str, float]
    language: str
    model: str
    version: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the policy says of one side. `miss` is set where nobody looked at it."""

    action: Action = Action.ALLOW
    reason: str = ""
    escalation: str = ""
    """Reason of an escalation; empty for none."""
    seen: Seen | None = None
    miss: Miss | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules by class of harm, for every language, and the languages that have their own."""

    version: str
    model: str
    model_version: str
    """The thresholds were chosen for these numbers and mean nothing for others."""
    rules: tuple[Rule, ...]
    languages: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    unscreened: Action = Action.ALLOW
    """What happens to a final that nobody could look at; it is marked in any case."""

    def judge(self, seen: Seen) -> Judgement:
        """The strictest action of all rules that hold, with the first such rule's reason."""
        judged = [_apply(rule, seen) for rule in self._rules(seen.language)]
        strictest = max(judged, key=lambda one: one.action.value)
        escalation = next((one.escalation for one in judged if one.escalation), "")
        return replace(strictest, escalation=escalation)

    def _rules(self, language: str) -> Sequence[Rule]:
        return self.languages.get(language, self.rules)


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a caption. `flagged` is the side that an escalation tells of, if any."""

    screen: Screen
    reason: str = ""
    artefact: bool = False
    flagged: Judgement | None = None
    translated: bool = False
    """`flagged` is the translation."""
    later: bool = False
    """A partial of this kind is not shown; its final is."""


def decide(before: Judgement, after: Judgement | None, unscreened: Action) -> Decision:
    """One decision from the original and its translation (None: there is none)."""
    if before.miss is Miss.OFF:
        return Decision(Screen.OFF)
    if before.miss is None:
        return _from_original(before, after, unscreened)
    if after is not None and after.miss is None:
        # Nobody could look at the original: its translation is the only witness.
        return _decision(after, translated=True)
    return _unseen(before.miss, unscreened, None)


def _from_original(before: Judgement, after: Judgement | None, unscreened: Action) -> Decision:
    decision = _decision(before, translated=False)
    if before.action is not Action.ALLOW or after is None:
        return decision
    if after.action is not Action.ALLOW:
        return replace(decision, reason=ARTEFACT, artefact=True, later=True)
    if after.miss is not None and after.miss.passing:
        return _unseen(after.miss, unscreened, decision.flagged)
    return decision


def _unseen(miss: Miss, unscreened: Action, flagged: Judgement | None) -> Decision:
    screen = Screen.SENSITIVE if unscreened is Action.MASK else Screen.UNSCREENED
    later = miss.passing or screen is Screen.SENSITIVE
    return Decision(screen, miss.value, flagged=flagged, later=later)


def _decision(judged: Judgement, *, translated: bool) -> Decision:
    screens = {Action.MASK: Screen.SENSITIVE, Action.WITHHOLD: Screen.WITHHELD}
    screen = screens.get(judged.action, Screen.CLEAR)
    hidden = screen is not Screen.CLEAR
    flagged = judged if judged.escalation else None
    reason = judged.reason if hidden else ""
    return Decision(screen, reason, flagged=flagged, translated=translated, later=hidden)


def _apply(rule: Rule, seen: Seen) -> Judgement:
    score = sum(seen.scores[name] for name in rule.classes)
    action = Action.ALLOW
    if _reaches(score, rule.withhold):
        action = Action.WITHHOLD
    elif _reaches(score, rule.mask):
        action = Action.MASK
    escalation = rule.reason if _reaches(score, rule.escalate) else ""
    return Judgement(action, rule.reason, escalation, seen)


def _reaches(score: float, threshold: float | None) -> bool:
    return threshold is not None and score >= threshold
