"""What a version of the score would have earned in waves that explored: rows for the estimators.

A row is a pair that was made and whose match is over. The chance with which the wave made it was
logged, or follows from doing the wave again under every version that it might have gone by. The
candidate is done again, too: it makes the pair, or not. Each wave is judged by itself, with the
people who were there then; that a better version leaves other people waiting is not seen here, and
is what a switchback is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inyeon.matching.domain.evaluating import (
    Estimate,
    Guess,
    Logged,
    doubly_robust,
    ips,
    self_normalised,
)
from inyeon.matching.domain.explaining import similarity
from inyeon.matching.domain.languages import MAX_LEVEL
from inyeon.matching.domain.replaying import Decision, TicketPair, ticket_pairs
from inyeon.matching.domain.score_models import ScoreModel
from inyeon.matching.domain.scoring import TRANSLATED
from inyeon.matching.domain.snapshot import Snapshot
from inyeon.matching.domain.tickets import Wish
from inyeon.matching.domain.waves import Wave, WaveRules, decide

Exact = NDArray[np.float64]

RIDGE = 1e-3
"""Of the guess, for a row: enough where a term never varies."""
_TERMS = 4


@dataclass(frozen=True, slots=True, eq=False)
class WaveRows:
    """k rows of a wave of which it is known how they went."""

    reward: Exact
    """(k,)"""
    propensity: Exact
    """(k,) chance with which the wave made the pair."""
    target: Exact
    """(k,) 1 where the candidate makes it, too, else 0."""
    taken: Exact
    """(k, 4) terms of these pairs: one, interests, language, waiting."""
    wanted: Exact
    """(m, 4) terms of the pairs that the candidate makes."""
    made: int
    """Pairs that the wave made, those of which nothing is known included."""


@dataclass(frozen=True, slots=True)
class Hindsight:
    """Mean reward of a pair, with 95 % intervals over waves."""

    logged: Estimate
    """As it was."""
    ips: Estimate
    """Under the candidate, by inverse propensity."""
    self_normalised: Estimate
    doubly_robust: Estimate
    difference: Estimate
    """Candidate minus what was, doubly robust, of the same rows."""
    rows: int


def rows_of(
    snapshot: Snapshot, wave: Decision, rewards: Mapping[str, float], candidate: ScoreModel
) -> WaveRows:
    """Of one wave that explored; `rewards` by match. Where nothing is known yet there are no rows.

    Without logged chances the wave must be of this engine (`replaying.engine_version`)."""
    known = [pair for pair, match in wave.matches.items() if match in rewards]
    wanted = _again(snapshot, wave, candidate)
    pairs = set(ticket_pairs(wanted))
    chances = wave.chances or _chances(snapshot, wave)
    places = {ticket.ticket_id: place for place, ticket in enumerate(snapshot.tickets)}
    taken = [(places[one], places[other]) for one, other in known]
    return WaveRows(
        np.array([rewards[wave.matches[pair]] for pair in known], np.float64),
        np.array([chances[pair] for pair in known], np.float64),
        np.array([pair in pairs for pair in known], np.float64),
        _terms(snapshot, taken, wave.rules),
        _terms(wanted.snapshot, [(pair.one, pair.other) for pair in wanted.pairs], wave.rules),
        len(wave.pairs),
    )


def hindsight(waves: Sequence[WaveRows]) -> Hindsight:
    """Estimates over waves. Raises EvaluationRefused: LENGTH without rows, TOO_FEW waves or
    NO_OVERLAP."""
    some = [wave for wave in waves if len(wave.reward)]
    empty = np.zeros(0)
    log = Logged(
        np.concatenate([empty, *(wave.reward for wave in some)]),
        np.concatenate([empty, *(wave.propensity for wave in some)]),
        np.concatenate([empty, *(wave.target for wave in some)]),
        np.repeat(np.arange(len(some)), [len(wave.reward) for wave in some]),
    )
    guess = _guess(some)
    gained = guess.target + log.weights * (log.reward - guess.taken) - log.reward
    return Hindsight(
        ips(_as_it_was(log, log.reward)),
        ips(log),
        self_normalised(log),
        doubly_robust(log, guess),
        ips(_as_it_was(log, gained)),
        len(log.reward),
    )


def _as_it_was(log: Logged, values: Exact) -> Logged:
    """The plain mean of values (n,), with an interval over waves."""
    return Logged(values, log.propensity, log.propensity, log.wave)


def _again(snapshot: Snapshot, wave: Decision, model: ScoreModel) -> Wave:
    return decide(snapshot, replace(wave.rules, score=model), wave.seed, wave.seekers)


def _chances(snapshot: Snapshot, wave: Decision) -> dict[TicketPair, float]:
    found: dict[TicketPair, float] = {}
    for model, share in wave.shares:
        for pair in ticket_pairs(_again(snapshot, wave, model)):
            found[pair] = found.get(pair, 0.0) + share
    return found


def _guess(waves: Sequence[WaveRows]) -> Guess:
    """A linear model of the reward by the terms of a pair, learnt from every other wave, so that no
    row is guessed from itself."""
    sides = [_fitted(waves[1 - side :: 2]) for side in (0, 1)]
    taken, target = [], []
    for place, wave in enumerate(waves):
        weights = sides[place % 2]
        taken.append(wave.taken @ weights)
        total = float((wave.wanted @ weights).sum()) / max(wave.made, 1)
        target.append(np.full(len(wave.reward), total))
    return Guess(np.concatenate(taken), np.concatenate(target))


def _fitted(waves: Sequence[WaveRows]) -> Exact:
    """(4,) ridge regression."""
    terms = np.concatenate([np.zeros((0, _TERMS)), *(wave.taken for wave in waves)])
    reward = np.concatenate([np.zeros(0), *(wave.reward for wave in waves)])
    inner = terms.T @ terms + RIDGE * max(len(reward), 1) * np.eye(_TERMS)
    return np.asarray(np.linalg.solve(inner, terms.T @ reward))


def _terms(snapshot: Snapshot, pairs: Sequence[tuple[int, int]], rules: WaveRules) -> Exact:
    cap_s = rules.patience.credit_cap_s
    waits = np.minimum(snapshot.waited_s, cap_s) / cap_s
    rows = []
    for one, other in pairs:
        wishes = snapshot.tickets[one].wish, snapshot.tickets[other].wish
        alike = max(similarity(*wishes), 0.0)
        rows.append((1.0, alike, _language(*wishes), float(waits[one] + waits[other]) / 2))
    return np.array(rows, np.float64).reshape(-1, _TERMS)


def _language(one: Wish, other: Wish) -> float:
    theirs = {spoken.tag: spoken.level for spoken in other.languages}
    common = [min(mine.level, theirs[mine.tag]) for mine in one.languages if mine.tag in theirs]
    return max(common) / MAX_LEVEL if common else TRANSLATED
