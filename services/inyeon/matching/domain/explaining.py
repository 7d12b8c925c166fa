"""Why these two: reasons for people, made from the same facts as the score."""

from __future__ import annotations

from inyeon.matching.domain.languages import Routes
from inyeon.matching.domain.matches import Explanation, MatchReason
from inyeon.matching.domain.tickets import Wish

WORTH_TELLING = 0.25
"""Unrelated texts stay below this cosine (sentence encoder, measured); a smaller one explains
nothing.
"""
LONG_WAIT_S = 20.0
"""When patience has relaxed wholly, the wait itself was a reason."""


def similarity(one: Wish, other: Wish) -> float:
    """Cosine of the interests, 0 where their spaces differ."""
    if one.interests.space != other.interests.space:
        return 0.0
    return float(one.interests.direction @ other.interests.direction)


def explain(
    one: Wish, other: Wish, waited_s: tuple[float, float], routes: Routes
) -> tuple[Explanation, ...]:
    """Reasons, strongest kind first; a language reason is always among them."""
    reasons = [*_interests(one, other), _language(one, other, routes)]
    if max(waited_s) >= LONG_WAIT_S:
        reasons.append(Explanation(MatchReason.WAITED_LONG, max(waited_s)))
    return tuple(reasons)


def _interests(one: Wish, other: Wish) -> list[Explanation]:
    cosine = similarity(one, other)
    return [Explanation(MatchReason.INTERESTS, cosine)] if cosine >= WORTH_TELLING else []


def _language(one: Wish, other: Wish, routes: Routes) -> Explanation:
    theirs = {spoken.tag: spoken.level for spoken in other.languages}
    common = [
        (min(spoken.level, theirs[spoken.tag]), spoken.tag)
        for spoken in one.languages
        if spoken.tag in theirs
    ]
    if common:
        level = max(level for level, _ in common)
        tag = next(tag for reached, tag in common if reached == level)
        return Explanation(MatchReason.COMMON_LANGUAGE, float(level), tag)
    pair = next(
        sorted((mine.tag, other_tag))
        for mine in one.languages
        for other_tag in theirs
        if routes.between(mine.tag, other_tag)
    )
    return Explanation(MatchReason.TRANSLATED, 1.0, "-".join(pair))
