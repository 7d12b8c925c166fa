"""Invariant 7: the topics alone give the state that the databases hold."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from inyeon_chaos import facts
from inyeon_chaos.evidence import Breach, Evidence, text

State = Mapping[str, Mapping[str, str]]
"""Name of a part -> key -> what is known of it, in words."""


def replay_gives_same_state(evidence: Evidence) -> list[Breach]:
    """7. A breach names the part that differs and one key of it."""
    replayed, held = replay(evidence), database(evidence)
    return [
        _difference(part, replayed[part], held[part])
        for part in sorted(replayed)
        if state_hash(replayed[part]) != state_hash(held[part])
    ]


def replay(evidence: Evidence) -> State:
    """State from the topics: highest version wins, a repetition changes nothing."""
    verdicts: dict[str, tuple[int, str]] = {}
    for one in facts.verdicts(evidence):
        verdicts[one.user_id] = max(verdicts.get(one.user_id, (0, "")), (one.version, one.verdict))
    edges = {f"{edge.user_id} {edge.other_id}": "barred" for edge in facts.edges(evidence)}
    ended = {end.match_id for end in facts.over(evidence)}
    known = {match.match_id: " ".join(sorted(match.users)) for match in facts.started(evidence)}
    live = {match_id: users for match_id, users in known.items() if match_id not in ended}
    both = {
        match_id: f"{users} {'over' if match_id in ended else 'live'}"
        for match_id, users in known.items()
    }
    said = {user: f"{version} {verdict}" for user, (version, verdict) in verdicts.items()}
    return {
        "matching.verdicts": said,
        "moderation.verdicts": said,
        "matching.edges": edges,
        "moderation.edges": edges,
        "matching.live": live,
        "moderation.matches": both,
    }


def database(evidence: Evidence) -> State:
    """The same from the tables."""
    rows = evidence.rows
    users: dict[str, list[str]] = {}
    for row in rows("matching.live_users"):
        users.setdefault(text(row, "match_id"), []).append(text(row, "user_id"))
    return {
        "matching.verdicts": {
            text(r, "user_id"): f"{text(r, 'version')} {text(r, 'verdict')}"
            for r in rows("matching.verdicts")
        },
        "moderation.verdicts": {
            text(r, "user_id"): f"{text(r, 'version')} {str(r['verdict']).upper()}"
            for r in rows("moderation.moderation_verdicts")
        },
        "matching.edges": {
            f"{text(r, 'user_id')} {text(r, 'other_id')}": "barred" for r in rows("matching.edges")
        },
        "moderation.edges": {
            f"{text(r, 'user_id')} {text(r, 'other_id')}": "barred"
            for r in rows("moderation.moderation_edges")
        },
        "matching.live": {match_id: " ".join(sorted(both)) for match_id, both in users.items()},
        "moderation.matches": {
            text(r, "match_id"): " ".join(
                [
                    *sorted((text(r, "user_a"), text(r, "user_b"))),
                    "live" if r["ended_at"] is None else "over",
                ]
            )
            for r in rows("moderation.moderation_matches")
        },
    }


def state_hash(part: Mapping[str, str]) -> str:
    """SHA-256 over the keys in order."""
    lines = [f"{key}\t{value}\n" for key, value in sorted(part.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _difference(part: str, replayed: Mapping[str, str], held: Mapping[str, str]) -> Breach:
    keys = sorted(
        key for key in replayed.keys() | held.keys() if replayed.get(key) != held.get(key)
    )
    one = keys[0]
    hashes = f"{state_hash(replayed)[:12]} against {state_hash(held)[:12]}"
    says = (
        f"{part}: {hashes}; {len(keys)} differ, such as {one!r}: "
        f"the topics say {replayed.get(one)!r}, the database {held.get(one)!r}"
    )
    return Breach(7, says)
