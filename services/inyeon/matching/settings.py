"""Settings of matching: frozen, read once, prefix INYEON_MATCHING_."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from inyeon.matching.data import COUNTRIES, POLICY_SETS, POOLS
from inyeon.matching.domain.exploring import LEAST_SHARE
from inyeon.matching.domain.languages import Routes
from inyeon.matching.domain.policies import Policy
from inyeon.matching.domain.scoring import Patience
from inyeon.matching.domain.waves import WaveRules
from inyeon.runtime.settings import StrictSettings

ALL_POOLS = "*"


class MatchingSettings(StrictSettings):
    """What an operator may set."""

    model_config = SettingsConfigDict(
        env_prefix="INYEON_MATCHING_", frozen=True, extra="forbid", validate_default=True
    )

    pool: str = Field(default="main", pattern="^[a-z0-9-]{1,32}$")
    """Name of the one pool for everybody, where `pools` is empty."""
    pools: tuple[str, ...] = ()
    """Pools that this replica may own, of the table; JSON list in the environment. `["*"]`: all of
    them. A country then has its pool by the table. All replicas together must own every pool."""
    countries_file: Path = COUNTRIES
    """Table of countries: pool, policy set, age of majority, languages."""
    policy_sets_file: Path = POLICY_SETS
    """With the table's pools: values of its policy sets. They ask for more than these settings, or
    as much, never for less."""
    overflow_after_s: float = Field(default=60.0, ge=0, le=3600)
    """With the table's pools: who has waited so long in one of them waits on in the next neighbour;
    0: nobody moves. Longer than most wait, shorter than most have patience."""
    starvation_bound_s: float = Field(default=60.0, ge=0, le=3600)
    """Who has waited so long is offered to drop filters of their own, with what each would gain,
    and again after each such time; 0: nobody. Nothing is dropped but by the person."""
    pools_file: Path = POOLS
    """Table of pools with their neighbours."""
    wave_every_s: float = Field(default=0.1, gt=0, le=10)
    """Pause between passes, at least as long as a pass takes: one over 1,000 takes some 10 ms. Who
    fits well meets at once; how long others hold out for somebody better says `relaxed_after_s`."""
    min_similarity: float = Field(default=0.4, ge=0, le=1)
    """Smallest cosine that a person takes at once; falls to 0 over `relaxed_after_s`."""
    relaxed_after_s: float = Field(default=5.0, gt=0, le=600)
    """5 s bring most of the mutual interest that 20 s bring, for a third of the people whom 20 s
    lose (SIMULATED, docs/matching-simulator.md)."""
    rematch_horizon_s: float = Field(default=600.0, ge=0)
    """Two people do not meet again for so long after a match."""
    verdicts_stale_s: float = Field(default=5.0, gt=0, le=60)
    """Nobody is paired while this replica's view of verdicts may be older: moderation marks it once
    a second, and its way takes some 50 ms. Clocks of replicas may differ by a second or two."""
    max_waiting: int = Field(default=20_000, ge=1, le=1_000_000)
    """Tickets of the pool; more are refused with RESOURCE_EXHAUSTED."""
    translation_routes: tuple[str, ...] = ("en-es",)
    """Pairs of languages that translation can carry both ways; JSON list in the environment."""
    policy_versions: tuple[str, ...] = ()
    """Policy versions whose safety passes count; empty: any that moderation signs."""

    sessions: bool = False
    """Learns from conversations that are over whom people like, and gives it to waves. Scores that
    give the terms SESSION and LENGTH no weight, as linear-1, decide the same with it."""
    length_model: Path | None = None
    """JSON of a model that predicts how long two will talk (domain/lengths.py); None: the term
    LENGTH counts 0."""
    accept_within_s: float = Field(default=0.0, ge=0, le=60)
    """Both must accept a match within so long before they meet; 0: nobody is asked."""
    skip_within_s: float = Field(default=0.0, ge=0, le=60)
    """Leaving a match sooner is a fault of one's own: from the fourth within ten minutes on it
    costs a pause, from 10 s to 5 min; 0: leaving is none."""

    scores_file: Path | None = None
    """Registry of score versions, JSON; none: the first version is the only one. What operators
    activate holds over it and lies in the store."""
    explore_share: float = Field(default=0.0, ge=0, le=0.5)
    """Share of waves that go by one of `explore_versions`, which divide it evenly; 0: none."""
    explore_versions: tuple[str, ...] = Field(default=(), max_length=15)
    """Versions of `scores_file` to explore; JSON list in the environment."""

    @model_validator(mode="after")
    def _explorable(self) -> Self:
        least = LEAST_SHARE * len(self.explore_versions)
        if self.explore_share and not (self.explore_versions and self.explore_share >= least):
            raise ValueError(f"explore_share: 0, or versions to explore and {LEAST_SHARE} for each")
        return self

    @model_validator(mode="after")
    def _all_or_some(self) -> Self:
        if ALL_POOLS in self.pools and len(self.pools) > 1:
            raise ValueError(f"pools: {ALL_POOLS} stands alone")
        return self

    @field_validator("translation_routes")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        Routes.parse(names)
        return names

    def own_policy(self) -> Policy:
        """What holds for everybody."""
        return Policy(
            accept_within_s=self.accept_within_s,
            starvation_bound_s=self.starvation_bound_s,
            skip_within_s=self.skip_within_s,
        )

    def rules(self) -> WaveRules:
        """What waves go by."""
        patience = Patience(self.min_similarity, self.relaxed_after_s)
        return WaveRules(patience, Routes.parse(self.translation_routes))
