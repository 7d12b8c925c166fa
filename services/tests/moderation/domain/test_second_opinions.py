"""Second opinions: what the policy makes of models' answers, and what they may do to a verdict."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.moderation.adapters.policy_file import PolicyFile, parse_policy, read_policy
from inyeon.moderation.domain.embeddings import EmbeddingRefused, unpacked
from inyeon.moderation.domain.machine import VerdictMachine
from inyeon.moderation.domain.observation import Embedding, Presence, Window
from inyeon.moderation.domain.opinions import (
    Judged,
    Opinion,
    Similar,
    Source,
    by_embedding,
    by_images,
    by_text,
    no_answer,
    unjudged,
)
from inyeon.moderation.domain.policy import Bank, Mark, SecondOpinion
from inyeon.moderation.domain.snapshot import restore, resume, take
from inyeon.moderation.domain.verdict import DISMISSED, Explanation, Verdict
from inyeon.moderation.errors import PolicyRefused
from inyeon.moderation.settings import DEFAULT_POLICY

pytestmark = pytest.mark.unit
MakeWindow = Callable[..., Window]
POLICY = read_policy(DEFAULT_POLICY).policy
AT = datetime(2026, 1, 1, tzinfo=UTC)
RULES = SecondOpinion(
    banks=(Bank("nudity", 0.9, ("PORN_UNSURE",)), Bank("drawings", 0.8, ("DRAWING_UNSURE",))),
    head=(Mark("explicit", "HEAD_EXPLICIT", ("Porn", "Hentai"), 0.9, 0.2),),
    image=(
        Mark("explicit", "IMAGE_EXPLICIT", ("Porn", "Hentai"), 0.7, 0.3),
        Mark("drawing", "IMAGE_DRAWING", ("Drawing",), 0.8, 0.4),
    ),
)
MODELS = ("head@1",)


def scores(**given: float) -> dict[str, float]:
    """A distribution: what is not named goes to Neutral."""
    made = {name: given.get(name, 0.0) for name in ("Drawing", "Hentai", "Porn", "Sexy")}
    return made | {"Neutral": 1.0 - sum(made.values())}


@pytest.mark.parametrize(
    ("similar", "seen", "verdict", "reason", "confidence"),
    [
        ([Similar("nudity", 0.95)], scores(), Verdict.PROTECT, "BANK_MATCH", 0.95),
        (
            [Similar("nudity", 0.91), Similar("drawings", 0.99)],
            scores(),
            Verdict.PROTECT,
            "BANK_MATCH",
            0.99,
        ),
        ([Similar("nudity", 0.9)], scores(), Verdict.PROTECT, "BANK_MATCH", 0.9),
        ([Similar("nudity", 0.89)], scores(), Verdict.CLEAR, "HEAD_QUIET", 1.0),
        ([Similar("unknown", 1.0)], scores(), Verdict.CLEAR, "HEAD_QUIET", 1.0),
        ([], scores(Porn=0.5, Hentai=0.4), Verdict.PROTECT, "HEAD_EXPLICIT", 0.9),
        ([], scores(Porn=0.6), Verdict.UNSURE, "HEAD_UNSURE", 0.6),
        ([], scores(Porn=0.2), Verdict.UNSURE, "HEAD_UNSURE", 0.2),
        ([], scores(Porn=0.1), Verdict.CLEAR, "HEAD_QUIET", 0.9),
    ],
)
def test_bank_first_then_the_head(
    similar: list[Similar],
    seen: dict[str, float],
    verdict: Verdict,
    reason: str,
    confidence: float,
) -> None:
    judged = by_embedding(RULES, similar, seen, MODELS)
    assert (judged.verdict, judged.reason) == (verdict, reason)
    assert judged.confidence == pytest.approx(confidence)
    assert judged.models == MODELS
    assert not judged.degraded
    assert judged.needs_person is (verdict is not Verdict.CLEAR)
    assert reason in judged.text()


@pytest.mark.parametrize(
    "seen",
    [
        {},
        {"Porn": 1.0},
        scores() | {"Porn": math.nan},
        scores() | {"Porn": math.inf},
        scores() | {"Porn": -0.1},
        scores() | {"Neutral": 0.5},
        scores(Porn=0.5) | {"Neutral": 1.0},
    ],
)
def test_an_answer_that_is_none_is_a_failure_of_the_model(seen: dict[str, float]) -> None:
    for judged in (
        by_embedding(RULES, [Similar("nudity", 1.0)], seen, MODELS),
        by_images(RULES, [seen, scores()], MODELS),
    ):
        assert (judged.verdict, judged.reason) == (Verdict.UNSURE, "MODEL_FAILED")
        assert judged.degraded
        assert judged.text() == "no second opinion: MODEL_FAILED"


@pytest.mark.parametrize("similarity", [math.nan, math.inf, 1.2, -1.2])
def test_a_similarity_that_is_none_is_a_failure_too(similarity: float) -> None:
    judged = by_embedding(RULES, [Similar("nudity", similarity)], scores(), MODELS)
    assert judged.reason == "MODEL_FAILED"


def test_without_marks_nobody_is_cleared() -> None:
    judged = by_embedding(SecondOpinion(), [], scores(), MODELS)
    assert (judged.verdict, judged.reason) == (Verdict.UNSURE, "HEAD_UNSURE")


@pytest.mark.parametrize(
    ("votes", "verdict", "reason"),
    [
        ([scores(Porn=0.8), scores(Porn=0.7)], Verdict.PROTECT, "IMAGE_EXPLICIT"),
        ([scores(Porn=0.9), scores(Porn=0.6)], Verdict.UNSURE, "IMAGE_UNSURE"),
        ([scores(Porn=0.9), scores(Drawing=0.9)], Verdict.UNSURE, "IMAGE_UNSURE"),
        ([scores(Drawing=0.9), scores(Drawing=0.85)], Verdict.PROTECT, "IMAGE_DRAWING"),
        ([scores(), scores(Porn=0.1)], Verdict.CLEAR, "IMAGE_QUIET"),
        ([scores(), scores(Porn=0.3)], Verdict.UNSURE, "IMAGE_UNSURE"),
        ([scores(Porn=0.9)], Verdict.UNSURE, "MODEL_FAILED"),
        ([], Verdict.UNSURE, "MODEL_FAILED"),
    ],
)
def test_image_models_must_agree(
    votes: list[dict[str, float]], verdict: Verdict, reason: str
) -> None:
    judged = by_images(RULES, votes, ("a@1", "b@1"))
    assert (judged.verdict, judged.reason) == (verdict, reason)


def test_words_never_cover_a_picture() -> None:
    judged = by_text({"hate": 0.99, "broken": math.nan}, "text@1")
    assert judged.verdict is Verdict.UNSURE
    assert judged.confidence == pytest.approx(0.99)
    assert by_text({}, "text@1").confidence == 0.0
    assert "by nobody" in unjudged("EMBEDDING_MISSING").text()


@given(st.binary(max_size=80), st.integers(-1, 70))
def test_bytes_are_an_embedding_or_refused_with_a_reason(data: bytes, dims: int) -> None:
    try:
        vector = unpacked(data, dims)
    except EmbeddingRefused as refused:
        assert refused.reason in ("EMBEDDING_LENGTH", "EMBEDDING_RANGE")
        return
    assert vector.shape == (dims,)
    assert vector.dtype == np.float32
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector.astype(np.float64)) > 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (struct.pack("<f", math.nan) + b"\x01" * 64, "EMBEDDING_RANGE"),
        (struct.pack("<f", math.inf) + b"\x01" * 64, "EMBEDDING_RANGE"),
        (struct.pack("<f", math.inf) + bytes(64), "EMBEDDING_RANGE"),
        (struct.pack("<f", 3e38) + b"\x7f" * 64, "EMBEDDING_RANGE"),
        (struct.pack("<f", 0.1) + bytes(64), "EMBEDDING_RANGE"),
        (struct.pack("<f", 0.1) + b"\x01" * 63, "EMBEDDING_LENGTH"),
        (b"", "EMBEDDING_LENGTH"),
    ],
)
def test_numbers_without_a_direction_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(EmbeddingRefused) as refused:
        unpacked(data, 64)
    assert refused.value.reason == reason


def test_bytes_become_numbers() -> None:
    vector = unpacked(struct.pack("<f", 0.5) + b"\x02\xff", 2)
    assert vector.tolist() == [1.0, -0.5]


def test_an_embedding_knows_its_dimensions() -> None:
    assert Embedding("m", "1", bytes(68)).dims == 64


def opinion(
    verdict: Verdict, escalation_id: str = "e", *, degraded: bool = False, reason: str = "HEAD_PORN"
) -> Opinion:
    judged = Judged(verdict, reason, 0.95, MODELS, degraded=degraded)
    return Opinion("o", escalation_id, "u", "s", Source.EMBEDDING, judged, AT, AT)


def unsure_machine(window: MakeWindow) -> VerdictMachine:
    """UNSURE by the porn band, with the escalation `e` open, at 103 s."""
    machine = VerdictMachine(POLICY)
    for n in range(1, 4):
        step = machine.observe(window(n, Porn=0.6), 100.0 + n)
        if step.escalation:
            machine.escalated("e")
    assert (machine.verdict, machine.escalation) == (Verdict.UNSURE, "e")
    return machine


def test_protect_covers_and_explains_itself(window: MakeWindow) -> None:
    machine = unsure_machine(window)
    moved = machine.opinion(opinion(Verdict.PROTECT), 103.1)
    assert moved is not None
    assert (moved.before, moved.after, moved.reason) == (
        Verdict.UNSURE,
        Verdict.PROTECT,
        "HEAD_PORN",
    )
    assert moved.explanation.text() == "second opinion (embedding) at 0.95 by head@1"
    assert machine.escalation == ""
    assert machine.opinion(opinion(Verdict.PROTECT), 103.2) is None


def test_protect_counts_while_clear_too(window: MakeWindow) -> None:
    """The partner's device raised it; the own one says that all is well."""
    machine = VerdictMachine(POLICY)
    for n in range(1, 4):
        machine.observe(window(n), 100.0 + n)
    machine.escalated("e")
    assert machine.verdict is Verdict.CLEAR
    assert machine.opinion(opinion(Verdict.CLEAR), 103.0) is None
    moved = machine.opinion(opinion(Verdict.PROTECT), 103.0)
    assert moved is not None
    assert not machine.may_pass(103.0)


@pytest.mark.parametrize(
    "given_opinion",
    [
        opinion(Verdict.UNSURE),
        opinion(Verdict.UNSURE, degraded=True),
        opinion(Verdict.PROTECT, degraded=True),
        opinion(Verdict.PROTECT, "older"),
        opinion(Verdict.PROTECT, ""),
    ],
)
def test_what_leaves_the_verdict_alone(window: MakeWindow, given_opinion: Opinion) -> None:
    machine = unsure_machine(window)
    assert machine.opinion(given_opinion, 103.1) is None
    assert (machine.verdict, machine.escalation) == (Verdict.UNSURE, "e")


def test_an_opinion_on_what_the_verdict_has_left_behind_is_ignored(window: MakeWindow) -> None:
    machine = unsure_machine(window)
    for n in range(4, 10):
        machine.observe(window(n), 100.0 + n)
    assert machine.verdict is Verdict.CLEAR
    assert machine.opinion(opinion(Verdict.PROTECT), 110.0) is None
    assert machine.verdict is Verdict.CLEAR


def test_clear_never_touches_protect(window: MakeWindow) -> None:
    machine = VerdictMachine(POLICY, Verdict.PROTECT, "PORN_SUSTAINED")
    machine.escalated("e")
    assert machine.opinion(opinion(Verdict.CLEAR), 100.0) is None
    assert machine.verdict is Verdict.PROTECT
    assert not machine.vouched


def test_clear_ends_the_doubt_at_once_where_it_is_quiet(window: MakeWindow) -> None:
    machine = unsure_machine(window)
    machine.observe(window(4), 104.0)
    machine.observe(window(5), 105.0)
    moved = machine.opinion(opinion(Verdict.CLEAR), 105.1)
    assert moved is not None
    assert (moved.after, moved.explanation.windows) == (Verdict.CLEAR, (4, 5))


def test_clear_shortens_the_way_back_where_it_is_not_quiet_yet(window: MakeWindow) -> None:
    vouched, alone = unsure_machine(window), unsure_machine(window)
    assert vouched.opinion(opinion(Verdict.CLEAR), 103.1) is None
    assert vouched.vouched
    for n in (4, 5):
        for machine in (vouched, alone):
            machine.observe(window(n), 100.0 + n)
    assert (vouched.verdict, alone.verdict) == (Verdict.CLEAR, Verdict.UNSURE)
    assert not vouched.vouched


def test_clear_does_nothing_for_a_device_that_fell_silent(window: MakeWindow) -> None:
    machine = unsure_machine(window)
    machine.observe(window(4), 104.0)
    machine.observe(window(5), 105.0)
    assert machine.opinion(opinion(Verdict.CLEAR), 105.0 + 60.0) is None
    assert machine.verdict is Verdict.UNSURE


def test_nobody_present_is_not_cleared_by_an_opinion(window: MakeWindow) -> None:
    machine = unsure_machine(window)
    for n in (4, 5):
        machine.observe(window(n, presence=Presence.AWAY), 100.0 + n)
    assert machine.opinion(opinion(Verdict.CLEAR), 105.1) is None


def test_a_dismissal_closes_the_escalation(window: MakeWindow) -> None:
    machine = unsure_machine(window)
    machine.opinion(opinion(Verdict.PROTECT), 103.1)
    machine.escalated("later")
    assert machine.dismiss().reason == DISMISSED
    assert machine.escalation == ""


def test_a_snapshot_keeps_the_open_escalation(window: MakeWindow) -> None:
    machine = unsure_machine(window)
    assert restore(POLICY, take(machine)).escalation == "e"
    machine.opinion(opinion(Verdict.CLEAR), 103.1)
    again = restore(POLICY, take(machine))
    assert again.vouched
    moved = again.opinion(opinion(Verdict.PROTECT), 0.0)
    assert moved is not None
    assert "escalation" not in take(VerdictMachine(POLICY))


def test_another_stored_verdict_closes_the_escalation(window: MakeWindow) -> None:
    saved = take(unsure_machine(window))
    assert resume(POLICY, saved, Verdict.UNSURE, "PORN_UNSURE").escalation == "e"
    assert resume(POLICY, saved, Verdict.PROTECT, "PORN_SUSTAINED").escalation == ""


@given(
    st.lists(
        st.tuples(
            st.sampled_from([Verdict.CLEAR, Verdict.UNSURE, Verdict.PROTECT]),
            st.sampled_from(["e", "older"]),
            st.booleans(),
        ),
        max_size=6,
    )
)
def test_only_a_well_model_asked_about_this_escalation_moves_anything(
    given_opinions: list[tuple[Verdict, str, bool]],
) -> None:
    machine = VerdictMachine(POLICY, Verdict.UNSURE, "PORN_UNSURE")
    machine.escalated("e")
    for verdict, escalation_id, degraded in given_opinions:
        machine.opinion(opinion(verdict, escalation_id, degraded=degraded), 1.0)
    protects = any(o == (Verdict.PROTECT, "e", False) for o in given_opinions)
    assert (machine.verdict is Verdict.PROTECT) is protects
    assert machine.verdict is not Verdict.CLEAR


def test_an_explanation_by_rule_reads_as_before() -> None:
    assert Explanation("r", 0.5, 0.4, 1.0, (1,)).text().startswith("rule r: 0.50 against 0.40")


def test_no_answer_names_who_was_asked() -> None:
    assert no_answer("MODELS_UNAVAILABLE", MODELS).models == MODELS


def test_the_shipped_policy_asks_for_no_pictures(policy_file: PolicyFile) -> None:
    rules = policy_file.policy.opinions
    assert not rules.evidence
    assert rules.bank_of("PORN_UNSURE") == "nudity"
    assert rules.bank_of("REPORTED_SCAM") is None


MINIMAL = """
name: minimal
rules: [{name: r, reason: R, classes: [Porn], threshold: 0.7, then: PROTECT, dwell_s: 1,
         unsure_from: 0.5}]
second_opinion:
"""
BANK = "{name: a, threshold: 1, reasons: [A]}"
MARK = "{name: a, reason: A, classes: [Porn], protect_from: 0.9, clear_below: 0.2}"


@pytest.mark.parametrize(
    ("section", "place"),
    [
        ("  banks: [{name: a, threshold: 0, reasons: [A]}]", "second_opinion.banks.0.threshold"),
        ("  banks: [{name: a, threshold: 0.9, reasons: []}]", "second_opinion.banks.0.reasons"),
        ("  banks: [{name: a, threshold: .nan, reasons: [A]}]", "banks.0.threshold"),
        (
            f"  banks: [{BANK}, {BANK.replace('[A]', '[B]')}]",
            "different names",
        ),
        (
            f"  banks: [{BANK}, {BANK.replace('name: a', 'name: b')}]",
            "one bank",
        ),
        (f"  head: [{MARK.replace('0.2', '0.95')}]", "clear_below"),
        (f"  head: [{MARK.replace('[Porn]', '[Porn, Porn]')}]", "classes must differ"),
        (f"  head: [{MARK.replace('Porn', 'Cat')}]", "second_opinion.head.0.classes"),
        ("  evidence: true", "evidence needs marks"),
        ("  evidence_expires_s: 0", "second_opinion.evidence_expires_s"),
        ("  unknown: 1", "second_opinion.unknown"),
    ],
)
def test_a_bad_section_is_refused_with_its_place(section: str, place: str) -> None:
    with pytest.raises(PolicyRefused) as refused:
        parse_policy((MINIMAL + section).encode(), "p.yaml")
    assert place in str(refused.value)


def test_a_policy_without_the_section_leaves_everything_to_people() -> None:
    document = MINIMAL.replace("second_opinion:\n", "").encode()
    assert parse_policy(document, "p.yaml").policy.opinions == SecondOpinion()
