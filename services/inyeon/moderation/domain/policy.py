"""What an operator decides: which scores, held for how long, do what. Read from YAML at the edge
(adapters/policy_file.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from inyeon.moderation.domain.verdict import Verdict


@dataclass(frozen=True, slots=True)
class KOfN:
    """`k` of the last `n` scored windows, 2 <= k <= n."""

    k: int
    n: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason to protect or to doubt. Fires by time held (`dwell_s`), by repetition (`k_of_n`),
    or by either."""

    name: str
    reason: str
    classes: tuple[int, ...]
    """Indexes into CLASSES; the rule's value is the sum of their means."""
    threshold: float
    """The window is hot from here on, (0, 1]."""
    then: Verdict
    """PROTECT or UNSURE."""
    dwell_s: float | None = None
    """Seconds of hot windows, less decay."""
    k_of_n: KOfN | None = None
    decay: float = 1.0
    """Seconds of evidence lost per second of a window that is not hot."""
    windows_at_least: int = 2
    """Hot windows needed, at least 2: one frame, and one window, never makes a verdict."""
    frames_at_least: int = 2
    unsure_from: float = 0.5
    """From here the window is not quiet; between here and `threshold` lies the unsure band."""
    unsure_dwell_s: float | None = None
    """Seconds at or above `unsure_from` that turn the verdict UNSURE and escalate; None: never."""
    agreement: float = 1.0
    """Factor on `dwell_s` while the partner's device sees the same, (0, 1]."""

    def value(self, mean: tuple[float, ...]) -> float:
        """Sum of the rule's classes of a (5,) mean."""
        return sum([mean[index] for index in self.classes])


@dataclass(frozen=True, slots=True)
class Clearing:
    """The way back: only windows that say something, held without a break, lead to CLEAR. Silence
    never does."""

    clear_s: float = 5.0
    """Seconds of quiet windows from PROTECT or UNSURE to CLEAR."""
    first_clear_s: float = 2.0
    """The same for a new session, from UNKNOWN."""
    windows_at_least: int = 2
    needs_presence: bool = True
    """A quiet window counts only with a person in it."""
    longest_credit_s: float = 2.0
    """No window counts for more: a long one says little about when. Also the most that a burst
    after an outage earns."""
    silence_s: float = 5.0
    """After so long without a window there is no pass, and quiet starts again from nothing."""


@dataclass(frozen=True, slots=True)
class PartnerTrust:
    """What a partner's windows do to the trust in a device. They corroborate; alone they never make
    a verdict."""

    hot_s: float = 3.0
    """Seconds that the partner must see it, less decay, before it counts."""
    step: float = 0.25
    """Trust lost per such stretch while the own device says quiet, or nothing."""
    recover_per_s: float = 0.002
    """Trust won per second in which both say quiet: 0.25 takes about two minutes."""
    escalate_below: float = 0.6


@dataclass(frozen=True, slots=True)
class Bank:
    """Confirmed cases of some reasons, as embeddings."""

    name: str
    threshold: float
    """Cosine from which a picture counts as one of them, (0, 1]."""
    reasons: tuple[str, ...]
    """Confirmed cases of these reasons enter it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a heavier model is asked about: the sum of some of its classes."""

    name: str
    reason: str
    classes: tuple[str, ...]
    protect_from: float
    """(0, 1]."""
    clear_below: float
    """At most `protect_from`; between the two the model is unsure as well."""

    def value(self, scores: Mapping[str, float]) -> float:
        """Sum of the mark's classes."""
        return sum(scores[name] for name in self.classes)


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What escalations are judged by. The default judges nothing: every one waits for a person."""

    banks: tuple[Bank, ...] = ()
    head: tuple[Mark, ...] = ()
    """Of the head on the embedding."""
    image: tuple[Mark, ...] = ()
    """Of the image models, on consented evidence."""
    evidence: bool = False
    """Devices may be asked for one picture, where the person agrees."""
    evidence_expires_s: float = 30.0

    def bank_of(self, reason: str) -> str | None:
        """The bank that a confirmed case of this reason enters."""
        return next((bank.name for bank in self.banks if reason in bank.reasons), None)


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that turns windows into verdicts, and verdicts into directives."""

    name: str
    version: str
    """Name, a dash, and the first 12 hex digits of the SHA-256 of the file."""
    rules: tuple[Rule, ...]
    clearing: Clearing = field(default_factory=Clearing)
    partner: PartnerTrust = field(default_factory=PartnerTrust)
    end_match_after_s: float | None = None
    """A match ends after so long under PROTECT; None: moderation ends none."""
    cover_at: Mapping[str, float] = field(default_factory=dict)
    """Class name to mean at which a device covers by itself, at once."""
    opinions: SecondOpinion = field(default_factory=SecondOpinion)
