"""A live match as the JSON of its row."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from inyeon.matching.domain.languages import SpokenLanguage
from inyeon.matching.domain.matches import Chosen, Explanation, LiveMatch, MatchReason, Side

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """Whole microseconds since 1970 UTC."""
    return (at - EPOCH) // MICROSECOND


def moment_of(microseconds: int) -> datetime:
    """The aware UTC time of so many microseconds since 1970."""
    return EPOCH + microseconds * MICROSECOND


def match_to_json(match: LiveMatch) -> str:
    """Both sides, the reasons, the score and what people answered; id, pool and start have columns
    of their own."""
    reasons = [[int(one.reason), one.strength, one.detail] for one in match.reasons]
    row: dict[str, Any] = {"sides": [_side_to(side) for side in match.sides], "reasons": reasons}
    if match.chosen.score_version:
        row["score"] = [match.chosen.score_version, match.chosen.propensity]
    if match.accept_until is not None:
        row["accept_until_us"] = micros(match.accept_until)
        row["accepted"] = sorted(match.accepted)
    return json.dumps(row)


def match_from_row(match_id: str, pool: str, started_us: int, text: str) -> LiveMatch:
    """The match of a row."""
    row = json.loads(text)
    first, second = (_side_from(side) for side in row["sides"])
    reasons = tuple(
        Explanation(MatchReason(reason), strength, detail)
        for reason, strength, detail in row["reasons"]
    )
    until_us = row.get("accept_until_us")
    until = None if until_us is None else moment_of(until_us)
    accepted = frozenset(row.get("accepted", ()))
    start = moment_of(started_us)
    chosen = Chosen(*row.get("score", ()))
    return LiveMatch(match_id, pool, first, second, start, reasons, until, accepted, chosen)


def _side_to(side: Side) -> dict[str, Any]:
    return {
        "user_id": side.user_id,
        "languages": [[spoken.tag, spoken.level] for spoken in side.languages],
        "country": side.country,
        "waited_s": side.waited_s,
    }


def _side_from(row: dict[str, Any]) -> Side:
    languages = tuple(SpokenLanguage(tag, level) for tag, level in row["languages"])
    return Side(row["user_id"], languages, row["country"], row["waited_s"])
