"""The eight invariants of the platform, as pure functions over the evidence of a run.

1. A user is in at most one live match.           5. Every ticket ends.
2. Both sides of a match name each other.         6. No flag is lost.
3. Nobody barred is paired after T.               7. Replay gives the same state.
4. Every accepted event has exactly one effect.   8. No raw frame anywhere.

What drivers must write: SENT and ACCEPTED with `what` block (user, other, id), report (user, other,
id), end (user, match), flag (user: windows that by policy lead to PROTECT); TOLD matched (user,
match, partner) and queued (user, ticket).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from inyeon_chaos import facts
from inyeon_chaos.evidence import Breach, Evidence, text
from inyeon_chaos.frames import no_raw_frames
from inyeon_chaos.history import Entry, Kind
from inyeon_chaos.replaying import replay_gives_same_state

PAIRED_WITHIN_S = 10.0
"""T of invariant 3: matching pairs nobody while its view of verdicts may be older than 5 s (its
setting `verdicts_stale_s`); a mark comes once a second, a wave that has begun ends within 2 s; and
2 spare. (A safety pass, which whoever is barred no longer gets, ends after 30 s anyway.)"""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a run is measured by."""

    paired_within_s: float = PAIRED_WITHIN_S
    workers: bool = False
    """Somebody answers escalations."""


def check(evidence: Evidence, rules: Rules | None = None) -> list[Breach]:
    """Every breach."""
    rules = rules or Rules()
    checks: tuple[Callable[[], list[Breach]], ...] = (
        lambda: one_live_match(evidence),
        lambda: sides_name_each_other(evidence),
        lambda: nobody_barred_is_paired(evidence, rules.paired_within_s),
        lambda: one_effect(evidence),
        lambda: tickets_end(evidence),
        lambda: no_flag_is_lost(evidence, workers=rules.workers),
        lambda: replay_gives_same_state(evidence),
        lambda: no_raw_frames(evidence),
    )
    return [breach for one in checks for breach in one()]


def one_live_match(evidence: Evidence) -> list[Breach]:
    """1. In the topic matches of one user do not overlap; in the database a live user is in the
    match that it names."""
    ended = {end.match_id: end.at_s for end in facts.over(evidence)}
    of_user: defaultdict[str, list[facts.Started]] = defaultdict(list)
    for match in facts.started(evidence):
        for user in match.users:
            of_user[user].append(match)
    found = []
    for user, matches in of_user.items():
        matches.sort(key=lambda match: match.at_s)
        for before, after in pairwise(matches):
            if ended.get(before.match_id, float("inf")) > after.at_s:
                says = f"{user} is in {after.match_id} while {before.match_id} lives"
                found.append(Breach(1, says, (before.place, after.place)))
    return found


def sides_name_each_other(evidence: Evidence) -> list[Breach]:
    """2. The topic, the database and both devices agree on who is in a match."""
    found = []
    pairs: dict[str, frozenset[str]] = {}
    for match in facts.started(evidence):
        pair = frozenset(match.users)
        if len(pair) != 2 or pairs.setdefault(match.match_id, pair) != pair:
            found.append(Breach(2, f"{match.match_id} is of {match.users}", (match.place,)))
    return found + _told_otherwise(evidence, pairs) + _kept_otherwise(evidence, pairs)


def _told_otherwise(evidence: Evidence, pairs: dict[str, frozenset[str]]) -> list[Breach]:
    return [
        Breach(2, f"{entry.text('user')} was told of {entry.text('partner')}", (entry.place,))
        for entry in _entries(evidence, Kind.TOLD, "matched")
        if pairs.get(entry.text("match")) != frozenset((entry.text("user"), entry.text("partner")))
    ]


def _kept_otherwise(evidence: Evidence, pairs: dict[str, frozenset[str]]) -> list[Breach]:
    users: defaultdict[str, set[str]] = defaultdict(set)
    for row in evidence.rows("matching.live_users"):
        users[text(row, "match_id")].add(text(row, "user_id"))
    kept = {text(row, "match_id") for row in evidence.rows("matching.live_matches")}
    return [
        Breach(2, f"live match {match_id} has the users {sorted(users[match_id])}")
        for match_id in sorted(kept | users.keys())
        if match_id not in kept or pairs.get(match_id) != frozenset(users[match_id])
    ]


def nobody_barred_is_paired(evidence: Evidence, within_s: float) -> list[Breach]:
    """3. Not by a verdict that was in force for the whole of the last `within_s`, not by a block
    accepted so long ago."""
    of_user: defaultdict[str, list[facts.VerdictSet]] = defaultdict(list)
    for verdict in sorted(facts.verdicts(evidence), key=lambda v: v.version):
        of_user[verdict.user_id].append(verdict)
    found = []
    for match in facts.started(evidence):
        for user in match.users:
            barring = _barring(of_user[user], match.at_s, within_s)
            if barring is not None:
                late_s = match.at_s - barring.at_s
                says = f"{user} is {barring.verdict} and paired {late_s:.1f} s later"
                found.append(Breach(3, says, (barring.place, match.place)))
    return found + _blocked_but_paired(evidence, within_s)


def _barring(
    verdicts: list[facts.VerdictSet], at_s: float, within_s: float
) -> facts.VerdictSet | None:
    """The verdict that was in force all the time from `at_s - within_s` to `at_s`, if it bars."""
    before = [verdict for verdict in verdicts if verdict.at_s <= at_s - within_s]
    between = [v for v in verdicts if at_s - within_s < v.at_s <= at_s]
    if not before or not before[-1].bars or any(not v.bars for v in between):
        return None
    return before[-1]


def _blocked_but_paired(evidence: Evidence, within_s: float) -> list[Breach]:
    found = []
    blocks = [*_entries(evidence, Kind.ACCEPTED, "block")]
    blocks += _entries(evidence, Kind.ACCEPTED, "report")
    for match in facts.started(evidence):
        for entry in blocks:
            pair = {entry.text("user"), entry.text("other")}
            if pair == set(match.users) and match.at_s > entry.at_s + within_s:
                says = f"{match.match_id} pairs {sorted(pair)} in spite of a block"
                found.append(Breach(3, says, (entry.place, match.place)))
    return found


def one_effect(evidence: Evidence) -> list[Breach]:
    """4. What was accepted is there, once, at everybody who needs it."""
    return [
        *_lost_blocks(evidence),
        *_lost_ends(evidence),
        *_doubled(evidence),
        *_without_outcome(evidence),
        *_unpublished(evidence),
        *_dead_letters(evidence),
    ]


def _lost_blocks(evidence: Evidence) -> list[Breach]:
    edges = {(edge.user_id, edge.other_id) for edge in facts.edges(evidence)}
    accepted = [*_entries(evidence, Kind.ACCEPTED, "block")]
    accepted += _entries(evidence, Kind.ACCEPTED, "report")
    return [
        Breach(4, f"accepted {entry.what} of {pair} has no effect", (entry.place,))
        for entry in accepted
        if (pair := (entry.text("user"), entry.text("other"))) not in edges
    ]


def _lost_ends(evidence: Evidence) -> list[Breach]:
    ended = {end.match_id for end in facts.over(evidence)}
    return [
        Breach(4, f"accepted end of {entry.text('match')} has no effect", (entry.place,))
        for entry in _entries(evidence, Kind.ACCEPTED, "end")
        if entry.text("match") not in ended
    ]


def _doubled(evidence: Evidence) -> list[Breach]:
    """One fact in two events: repetitions carry the same event id and are not counted."""
    seen: defaultdict[str, list[str]] = defaultdict(list)
    for match in facts.started(evidence):
        seen[f"start of {match.match_id}"].append(match.place)
    for end in facts.over(evidence):
        seen[f"end of {end.match_id}"].append(end.place)
    for ticket in facts.ticket_ends(evidence):
        seen[f"end of ticket {ticket.ticket_id}"].append(ticket.place)
    for one in facts.outcomes(evidence):
        seen[f"outcome of {one.match_id} for {one.user_id}"].append(one.place)
    for verdict in facts.verdicts(evidence):
        seen[f"verdict {verdict.version} of {verdict.user_id}"].append(verdict.place)
    for row in evidence.rows("moderation.moderation_reports"):
        seen[f"report {text(row, 'request_id')} of {text(row, 'reporter_id')}"].append(
            "moderation_reports"
        )
    return [
        Breach(4, f"{what} is there {len(places)} times", tuple(places))
        for what, places in seen.items()
        if len(places) > 1
    ]


def _without_outcome(evidence: Evidence) -> list[Breach]:
    wanted = Counter({end.match_id: 2 for end in facts.over(evidence)})
    wanted.subtract(Counter(one.match_id for one in facts.outcomes(evidence)))
    return [
        Breach(4, f"{match_id} has {2 - missing} outcomes, not 2")
        for match_id, missing in wanted.items()
        if missing > 0
    ]


def _unpublished(evidence: Evidence) -> list[Breach]:
    return [
        Breach(4, f"{len(rows)} events are still in {table}")
        for table, rows in evidence.tables.items()
        if table.endswith(".outbox") and rows
    ]


def _dead_letters(evidence: Evidence) -> list[Breach]:
    """Nothing that the platform writes itself is poison to it."""
    return [
        Breach(4, f"dead letter: {record.headers.get('dlq_reason')}", (record.place,))
        for record in evidence.records
        if record.topic.endswith(".dlq")
    ]


def tickets_end(evidence: Evidence) -> list[Breach]:
    """5. As matched, cancelled, expired or sanctioned, and only once."""
    reasons: defaultdict[str, set[str]] = defaultdict(set)
    for end in facts.ticket_ends(evidence):
        reasons[end.ticket_id].add(end.reason)
    for row in evidence.rows("matching.ticket_ends"):
        reasons[text(row, "ticket_id")].add(text(row, "reason"))
    seen = {ticket.ticket_id: ticket.place for ticket in facts.tickets(evidence)}
    seen |= {e.text("ticket"): e.place for e in _entries(evidence, Kind.TOLD, "queued")}
    known = {"MATCHED", "CANCELLED", "EXPIRED", "SANCTIONED"}
    return [
        Breach(5, f"ticket {ticket_id} ended as {sorted(reasons[ticket_id])}", (place,))
        for ticket_id, place in seen.items()
        if len(reasons[ticket_id]) != 1 or not reasons[ticket_id] <= known
    ]


def no_flag_is_lost(evidence: Evidence, *, workers: bool) -> list[Breach]:
    """6. Whoever was flagged is protected and has a case; an escalation has an opinion or a
    case."""
    protected = {v.user_id for v in facts.verdicts(evidence) if v.verdict == "PROTECT"}
    cases = {text(row, "user_id") for row in evidence.rows("moderation.moderation_cases")}
    found = [
        Breach(6, f"accepted flag of {entry.text('user')} is neither queued nor decided", (p,))
        for entry in _entries(evidence, Kind.ACCEPTED, "flag")
        if entry.text("user") not in protected & cases and (p := entry.place)
    ]
    found += [
        Breach(6, f"accepted report about {entry.text('other')} has no case", (entry.place,))
        for entry in _entries(evidence, Kind.ACCEPTED, "report")
        if entry.text("other") not in cases
    ]
    return found + (_unanswered(evidence, cases) if workers else [])


def _unanswered(evidence: Evidence, cases: set[str]) -> list[Breach]:
    answered = {opinion.escalation_id for opinion in facts.opinions(evidence)}
    return [
        Breach(6, f"escalation {one.escalation_id} has no opinion and no case", (one.place,))
        for one in facts.escalations(evidence)
        if one.escalation_id not in answered and one.user_id not in cases
    ]


def _entries(evidence: Evidence, kind: Kind, what: str) -> Iterable[Entry]:
    return [e for e in evidence.history if e.kind is kind and e.what == what]
