"""The eight invariants: a good run passes, and each way to break it is named by its number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from inyeon.runtime.log import topics
from inyeon.runtime.log.envelope import new_event
from inyeon_chaos.evidence import Evidence, LogRecord, Row
from inyeon_chaos.frames import MARK, VALUE_BYTES
from inyeon_chaos.history import Entry, Field, Kind
from inyeon_chaos.invariants import Rules, check
from inyeon_protos.events.v1 import events_pb2
from inyeon_protos.moderation.v1 import safety_pb2

pytestmark = pytest.mark.unit

LASTS_S = 30.0
RULES = Rules(paired_within_s=10.0, workers=True)


class Story:
    """Writes what a faultless platform and its devices leave behind."""

    def __init__(self) -> None:
        self.history: list[Entry] = []
        self.records: list[LogRecord] = []
        self.tables: dict[str, list[Row]] = {
            name: []
            for name in (
                *("matching.live_users", "matching.live_matches", "matching.ticket_ends"),
                *("matching.verdicts", "matching.edges", "matching.outbox"),
                *("moderation.moderation_verdicts", "moderation.moderation_edges"),
                *("moderation.moderation_matches", "moderation.moderation_reports"),
                *("moderation.moderation_cases", "moderation.outbox"),
            )
        }

    @property
    def evidence(self) -> Evidence:
        return Evidence(self.history, self.records, self.tables, {"matching.log": b"all is well"})

    def note(self, at_s: float, kind: Kind, what: str, **fields: Field) -> None:
        self.history.append(Entry(len(self.history) + 1, at_s, kind, what, fields))

    def publish(self, topic: str, key: str, message: Message, at_s: float) -> None:
        new = new_event(topic, key, message, occurred_at=_moment(at_s))
        offset = len(self.records)
        self.records.append(LogRecord(topic, 0, offset, key, new.value, dict(new.headers)))

    def meet(self, number: int, users: tuple[str, str], at_s: float, *, ends: bool = True) -> None:
        """Two people wait, meet and, where it `ends`, part after LASTS_S."""
        match_id, pair = f"match-{number}", sorted(users)
        for user, partner in (users, users[::-1]):
            self._wait(f"ticket-{number}-{user}", user, at_s - 1)
            self.note(at_s, Kind.TOLD, "matched", user=user, match=match_id, partner=partner)
        live = events_pb2.MatchLive(match_id=match_id, user_a=pair[0], user_b=pair[1], version=1)
        live.started_at.FromNanoseconds(round(at_s * 1e9))
        self.publish(topics.MATCHES, match_id, live, at_s)
        over_at = int((at_s + LASTS_S) * 1e6) if ends else None
        row = {"match_id": match_id, "user_a": pair[0], "user_b": pair[1], "ended_at": over_at}
        self.tables["moderation.moderation_matches"].append(row)
        if ends:
            self._part(match_id, users, at_s + LASTS_S)
        else:
            self.tables["matching.live_matches"].append({"match_id": match_id})
            live_users = self.tables["matching.live_users"]
            live_users += [{"match_id": match_id, "user_id": user} for user in pair]

    def judge(self, user: str, verdict: str, at_s: float, version: int) -> None:
        """Moderation changes a verdict."""
        event = events_pb2.VerdictRecorded(
            user_id=user, verdict=safety_pb2.Verdict.Value(f"VERDICT_{verdict}"), version=version
        )
        event.changed_at.FromNanoseconds(round(at_s * 1e9))
        self.publish(topics.VERDICTS, user, event, at_s)
        for table in ("matching.verdicts", "moderation.moderation_verdicts"):
            others = [row for row in self.tables[table] if row["user_id"] != user]
            mine: Row = {"user_id": user, "verdict": verdict, "version": version}
            self.tables[table] = [*others, mine]

    def flag(self, user: str, at_s: float, version: int) -> None:
        """A device reports itself until it is protected."""
        self.note(at_s, Kind.SENT, "flag", user=user)
        self.note(at_s, Kind.ACCEPTED, "flag", user=user)
        self.judge(user, "PROTECT", at_s, version)
        self.tables["moderation.moderation_cases"].append({"user_id": user})

    def block(self, user: str, other: str, at_s: float) -> None:
        """Both ways."""
        self.note(at_s, Kind.ACCEPTED, "block", user=user, other=other, id=f"{user}-{other}")
        for one, two in ((user, other), (other, user)):
            edge = events_pb2.EdgeRecorded(user_id=one, other_id=two, kind="BLOCK", version=1)
            edge.recorded_at.FromNanoseconds(round(at_s * 1e9))
            self.publish(topics.EDGES, f"{one}/{two}", edge, at_s)
            row: Row = {"user_id": one, "other_id": two, "version": 1}
            self.tables["matching.edges"].append(row)
            self.tables["moderation.moderation_edges"].append(row)

    def report(self, user: str, other: str, at_s: float) -> None:
        """A block with a case."""
        self.block(user, other, at_s)
        self.note(at_s, Kind.ACCEPTED, "report", user=user, other=other, id="r")
        self.tables["moderation.moderation_cases"].append({"user_id": other})
        row: Row = {"reporter_id": user, "request_id": "r"}
        self.tables["moderation.moderation_reports"].append(row)

    def escalate(self, user: str, at_s: float) -> None:
        """The unsure band, and an opinion."""
        raised = events_pb2.EscalationRaised(escalation_id=f"e-{user}", user_id=user)
        self.publish(topics.ESCALATIONS, user, raised, at_s)
        given = events_pb2.OpinionGiven(escalation_id=f"e-{user}", user_id=user)
        self.publish(topics.OPINIONS, user, given, at_s)

    def _wait(self, ticket: str, user: str, at_s: float) -> None:
        self.note(at_s, Kind.TOLD, "queued", user=user, ticket=ticket)
        waiting = events_pb2.TicketWaiting(ticket_id=ticket, user_id=user)
        self.publish(topics.TICKETS, ticket, waiting, at_s)
        ended = events_pb2.TicketEnded(ticket_id=ticket, user_id=user, reason="MATCHED")
        self.publish(topics.TICKETS, ticket, ended, at_s)
        row: Row = {"ticket_id": ticket, "reason": "MATCHED"}
        self.tables["matching.ticket_ends"].append(row)

    def _part(self, match_id: str, users: tuple[str, str], at_s: float) -> None:
        self.note(at_s, Kind.ACCEPTED, "end", user=users[0], match=match_id)
        ended = events_pb2.MatchEnded(match_id=match_id, user_a=users[0], user_b=users[1])
        ended.ended_at.FromNanoseconds(round(at_s * 1e9))
        self.publish(topics.MATCHES, match_id, ended, at_s)
        for user in users:
            outcome = events_pb2.MatchOutcome(user_id=user, match_id=match_id)
            self.publish(topics.OUTCOMES, user, outcome, at_s)


def _moment(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)


def story() -> Story:
    """Six people: two meetings one after the other, one that lives, a flag, a block, a report."""
    told = Story()
    told.meet(1, ("ana", "bob"), 1_000.0)
    told.meet(2, ("bob", "eve"), 1_100.0)
    told.meet(3, ("ana", "kim"), 1_200.0, ends=False)
    told.judge("ana", "CLEAR", 900.0, 1)
    told.flag("eve", 1_300.0, 1)
    told.flag("max", 500.0, 1)
    told.judge("max", "CLEAR", 600.0, 2)
    told.meet(4, ("max", "bob"), 1_400.0)
    told.block("ana", "bob", 1_500.0)
    told.report("bob", "max", 1_600.0)
    told.escalate("kim", 1_700.0)
    return told


def test_a_good_run_passes() -> None:
    assert check(story().evidence, RULES) == []


@given(st.data())
def test_repetitions_in_the_topics_change_nothing(data: st.DataObject) -> None:
    told = story()
    again = data.draw(st.lists(st.sampled_from(told.records), max_size=20))
    told.records += again
    assert check(told.evidence, RULES) == []


def _two_at_once(told: Story) -> None:
    told.meet(5, ("kim", "bob"), 1_210.0)


def _named_otherwise(told: Story) -> None:
    told.note(1_000.0, Kind.TOLD, "matched", user="ana", match="match-1", partner="eve")


def _one_sided(told: Story) -> None:
    told.tables["matching.live_users"].pop()


def _with_oneself(told: Story) -> None:
    told.meet(5, ("zoe", "zoe"), 5_000.0)


def _paired_under_protect(told: Story) -> None:
    told.meet(5, ("eve", "zoe"), 1_300.0 + RULES.paired_within_s + 1)


def _paired_under_unsure(told: Story) -> None:
    told.judge("zoe", "UNSURE", 4_000.0, 1)
    told.meet(5, ("zoe", "bob"), 4_100.0)


def _paired_in_spite_of_block(told: Story) -> None:
    told.meet(5, ("bob", "ana"), 1_520.0 + RULES.paired_within_s)


def _lost_block(told: Story) -> None:
    told.note(2_000.0, Kind.ACCEPTED, "block", user="ana", other="zoe", id="x")


def _lost_end(told: Story) -> None:
    told.note(2_000.0, Kind.ACCEPTED, "end", user="ana", match="match-3")


def _ended_twice(told: Story) -> None:
    ended = events_pb2.MatchEnded(match_id="match-1", user_a="ana", user_b="bob")
    ended.ended_at.FromNanoseconds(round(1_030 * 1e9))
    told.publish(topics.MATCHES, "match-1", ended, 1_031.0)


def _judged_twice(told: Story) -> None:
    told.judge("ana", "CLEAR", 950.0, 1)


def _outcome_missing(told: Story) -> None:
    told.records = [r for r in told.records if r.topic != topics.OUTCOMES]


def _left_in_outbox(told: Story) -> None:
    told.tables["moderation.outbox"].append({"id": 1})


def _dead_letter(told: Story) -> None:
    headers = {"dlq_reason": "TYPE_UNKNOWN"}
    told.records.append(LogRecord(f"{topics.VERDICTS}.dlq", 0, 0, "ana", b"", headers))


def _ticket_forgotten(told: Story) -> None:
    told.note(2_000.0, Kind.TOLD, "queued", user="zoe", ticket="ticket-zoe")


def _ticket_ends_twice(told: Story) -> None:
    row: Row = {"ticket_id": "ticket-1-ana", "reason": "CANCELLED"}
    told.tables["matching.ticket_ends"].append(row)


def _ticket_ends_oddly(told: Story) -> None:
    told.note(2_000.0, Kind.TOLD, "queued", user="zoe", ticket="ticket-zoe")
    row: Row = {"ticket_id": "ticket-zoe", "reason": "WHATEVER"}
    told.tables["matching.ticket_ends"].append(row)


def _flag_lost(told: Story) -> None:
    told.note(2_000.0, Kind.ACCEPTED, "flag", user="zoe")


def _flag_without_case(told: Story) -> None:
    told.tables["moderation.moderation_cases"] = [
        row for row in told.tables["moderation.moderation_cases"] if row["user_id"] != "eve"
    ]


def _report_without_case(told: Story) -> None:
    told.note(2_000.0, Kind.ACCEPTED, "report", user="ana", other="bob", id="y")


def _escalation_unanswered(told: Story) -> None:
    raised = events_pb2.EscalationRaised(escalation_id="e-zoe", user_id="zoe")
    told.publish(topics.ESCALATIONS, "zoe", raised, 2_000.0)


def _verdict_not_applied(told: Story) -> None:
    told.tables["matching.verdicts"] = told.tables["matching.verdicts"][1:]


def _edge_not_applied(told: Story) -> None:
    told.tables["matching.edges"].pop()


def _end_not_applied(told: Story) -> None:
    rows = told.tables["moderation.moderation_matches"]
    rows[0] = {**rows[0], "ended_at": None}


def _picture_in_topic(told: Story) -> None:
    jpeg = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01"
    told.records.append(LogRecord(topics.OBSERVATIONS, 0, 0, "ana", b"x" + jpeg, {}))


def _pixels_in_topic(told: Story) -> None:
    pixels = bytes(range(256)) * (VALUE_BYTES // 256 + 1)
    told.records.append(LogRecord(topics.OBSERVATIONS, 0, 0, "ana", pixels, {}))


def _picture_in_output(told: Story) -> None:
    told.tables["moderation.moderation_cases"].append({"user_id": "q", "note": b"..." + MARK})


BREAKING: tuple[tuple[Callable[[Story], None], int], ...] = (
    (_two_at_once, 1),
    (_named_otherwise, 2),
    (_one_sided, 2),
    (_with_oneself, 2),
    (_paired_under_protect, 3),
    (_paired_under_unsure, 3),
    (_paired_in_spite_of_block, 3),
    (_lost_block, 4),
    (_lost_end, 4),
    (_ended_twice, 4),
    (_judged_twice, 4),
    (_outcome_missing, 4),
    (_left_in_outbox, 4),
    (_dead_letter, 4),
    (_ticket_forgotten, 5),
    (_ticket_ends_twice, 5),
    (_ticket_ends_oddly, 5),
    (_flag_lost, 6),
    (_flag_without_case, 6),
    (_report_without_case, 6),
    (_escalation_unanswered, 6),
    (_verdict_not_applied, 7),
    (_edge_not_applied, 7),
    (_end_not_applied, 7),
    (_picture_in_topic, 8),
    (_pixels_in_topic, 8),
    (_picture_in_output, 8),
)


@pytest.mark.parametrize(
    ("breaking", "invariant"), BREAKING, ids=lambda x: getattr(x, "__name__", x)
)
def test_whatever_is_broken_is_named(breaking: Callable[[Story], None], invariant: int) -> None:
    told = story()
    breaking(told)
    assert invariant in {breach.invariant for breach in check(told.evidence, RULES)}


def test_every_invariant_can_be_broken() -> None:
    assert {invariant for _, invariant in BREAKING} == set(range(1, 9))


@given(late_s=st.floats(0, 9.9), before=st.booleans())
def test_within_the_bound_or_cleared_since_nothing_is_said(late_s: float, before: bool) -> None:
    told = story()
    told.judge("zoe", "PROTECT", 4_000.0, 1)
    if before:
        told.judge("zoe", "CLEAR", 4_050.0, 2)
    told.meet(5, ("zoe", "kit"), 4_000.0 + late_s + (60.0 if before else 0.0))
    told.tables["moderation.moderation_cases"].append({"user_id": "zoe"})
    assert check(told.evidence, RULES) == []


@pytest.mark.parametrize(
    ("name", "output"),
    [("PNG", b"\x89PNG\r\n\x1a\n"), ("WebP", b"RIFF....WEBPVP8 "), ("mark", MARK)],
)
def test_a_picture_in_an_output_is_found(name: str, output: bytes) -> None:
    found = check(replace(story().evidence, outputs={"gateway.log": b"said " + output}), RULES)
    assert [(b.invariant, b.places) for b in found] == [(8, ("gateway.log",))]
    assert name in found[0].says


def test_text_documents_are_no_pixels() -> None:
    told = story()
    policy = events_pb2.PolicyPublished(name="default", document=b"rules: here\n" * 4_000)
    told.publish(topics.POLICIES, "default", policy, 1.0)
    assert check(told.evidence, RULES) == []


def test_a_table_that_was_not_read_is_no_proof() -> None:
    tables: Mapping[str, Any] = {}
    with pytest.raises(KeyError):
        check(replace(story().evidence, tables=tables), RULES)
