"""Versions of the score: immutable, checked, activated, taken back; nothing sensitive gets in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inyeon.matching.domain import scoring
from inyeon.matching.domain.score_models import (
    KEPT_ACTIVATIONS,
    LINEAR_1,
    MAX_MODELS,
    SENSITIVE,
    Registry,
    ScoreModel,
    ScoreModelRefused,
    Term,
    check_feature,
)

pytestmark = pytest.mark.unit

NUMBERS = st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=3, max_size=3)


def model(version: str, **weights: float) -> ScoreModel:
    return ScoreModel(version, 0.5, weights or {Term.INTERESTS: 1.0})


def test_the_first_version_is_the_score_of_the_engine() -> None:
    assert LINEAR_1.version == scoring.SCORE_VERSION and LINEAR_1.meeting == scoring.MEETING
    assert LINEAR_1.weight(Term.INTERESTS) == scoring.INTERESTS
    assert LINEAR_1.weight(Term.LANGUAGE) == scoring.LANGUAGE
    assert LINEAR_1.weight(Term.WAITING) == scoring.WAITING
    assert LINEAR_1.weight(Term.SESSION) == 0.0
    assert LINEAR_1.max_score == pytest.approx(scoring.MAX_SCORE)


@pytest.mark.parametrize("word", sorted(SENSITIVE))
@pytest.mark.parametrize("form", ["{}", "same_{}", "{}-gap", "partner.{}", "{}_of_partner"])
def test_sensitive_attributes_are_refused_in_any_dress(word: str, form: str) -> None:
    name = form.format(word)
    with pytest.raises(ScoreModelRefused) as found:
        model("x", **{name: 0.1})
    assert (found.value.reason, found.value.field) == ("SENSITIVE_FEATURE", f"weights.{name}")


@pytest.mark.parametrize("name", ["Gender", "sameRace", "AGE", "partnerCountry"])
def test_capitals_hide_nothing(name: str) -> None:
    with pytest.raises(ScoreModelRefused) as found:
        check_feature(name, "f")
    assert found.value.reason == "SENSITIVE_FEATURE"


def test_a_term_is_known_by_its_name_alone() -> None:
    assert [check_feature(str(term), "f") for term in Term] == list(Term)
    for name in ("interest", "languages", "", "Interests", "popularity"):
        with pytest.raises(ScoreModelRefused) as found:
            check_feature(name, "f")
        assert found.value.reason == "UNKNOWN_FEATURE"


@pytest.mark.parametrize("weight", [-0.1, 4.1, float("nan"), float("inf"), True, "1", None])
def test_a_weight_is_a_number_within_bounds(weight: object) -> None:
    with pytest.raises(ScoreModelRefused) as found:
        ScoreModel("x", 0.5, {Term.INTERESTS: weight})  # type: ignore[dict-item]
    assert (found.value.reason, found.value.field) == ("WEIGHT", "weights.interests")


@pytest.mark.parametrize("meeting", [0.0, -1.0, 4.5, float("nan")])
def test_a_meeting_is_worth_something(meeting: float) -> None:
    with pytest.raises(ScoreModelRefused) as found:
        ScoreModel("x", meeting, {Term.INTERESTS: 1.0})
    assert (found.value.reason, found.value.field) == ("WEIGHT", "meeting")


@pytest.mark.parametrize("version", ["", "A", "-a", "a b", "a" * 33, "a/../b"])
def test_a_version_is_a_plain_name(version: str) -> None:
    with pytest.raises(ScoreModelRefused) as found:
        model(version)
    assert found.value.reason == "VERSION"


def test_a_score_that_tells_nobody_apart_is_refused() -> None:
    with pytest.raises(ScoreModelRefused) as found:
        ScoreModel("x", 0.5, {Term.INTERESTS: 0.0})
    assert found.value.reason == "EMPTY"


def test_a_version_cannot_be_changed() -> None:
    weights = {Term.INTERESTS.value: 1.0}
    made = ScoreModel("x", 0.5, weights)
    weights["interests"] = 2.0
    assert made.weight(Term.INTERESTS) == 1.0


def test_the_digest_is_of_what_counts() -> None:
    one, noted = model("x"), ScoreModel("x", 0.5, {Term.INTERESTS: 1.0}, "a note")
    assert one.digest == noted.digest and hash(one) == hash(noted)
    assert one.digest != model("x", interests=0.5).digest != model("y", interests=0.5).digest


@given(NUMBERS, NUMBERS)
def test_no_broken_term_leaves_the_bounds(interests: list[float], waiting: list[float]) -> None:
    made = model("x", interests=1.0, waiting=0.25, session=0.0)
    terms = {Term.INTERESTS: np.array(interests), Term.WAITING: np.array(waiting)}
    scores = made.score(terms)
    assert ((scores >= made.meeting) & (scores <= made.max_score)).all()


def test_a_score_by_hand_and_a_missing_term() -> None:
    terms = {Term.INTERESTS: np.array([0.0, 0.4, 1.0]), Term.WAITING: np.array([1.0, 0.0, 0.5])}
    made = model("x", interests=1.0, waiting=0.5)
    assert made.score(terms).tolist() == pytest.approx([1.0, 0.9, 1.75])
    with pytest.raises(ScoreModelRefused) as found:
        model("x", session=0.1).score(terms)
    assert (found.value.reason, found.value.field) == ("TERM_MISSING", "terms.session")


def test_a_version_is_added_activated_and_taken_back() -> None:
    one = Registry().added(model("b"))
    assert one.active is LINEAR_1
    two = one.activated("b")
    assert two.active.version == "b" and one.active is LINEAR_1
    assert two.activated("b") is two and two.rolled_back() == one
    assert one.added(model("b")) is one


def test_an_unknown_or_taken_version_is_refused() -> None:
    registry = Registry().added(model("b"))
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: registry.activated("c"), "UNKNOWN_VERSION"),
        (lambda: registry.added(model("b", language=1.0)), "VERSION_TAKEN"),
        (lambda: registry.rolled_back(), "NOTHING_BEFORE"),
        (lambda: Registry((model("b"), model("b")), ("b",)), "VERSION_TAKEN"),
        (lambda: Registry((model("b"),), ()), "NOTHING_ACTIVE"),
        (lambda: Registry((model("b"),), ("c",)), "UNKNOWN_VERSION"),
        (lambda: Registry(tuple(model(f"v{n}") for n in range(MAX_MODELS + 1))), "TOO_MANY"),
    ]
    for wrong, reason in cases:
        with pytest.raises(ScoreModelRefused) as found:
            wrong()
        assert found.value.reason == reason


class RegistryMachine(RuleBasedStateMachine):
    """Any order of verbs: what counted before comes back, and no version ever changes."""

    def __init__(self) -> None:
        super().__init__()
        self.registry, self.counted = Registry(), [LINEAR_1.version]

    @rule(number=st.integers(1, 5))
    def add(self, number: int) -> None:
        self.registry = self.registry.added(model(f"v{number}", interests=number / 5))

    @rule(number=st.integers(1, 5))
    def activate(self, number: int) -> None:
        version = f"v{number}"
        if version in {known.version for known in self.registry.models}:
            self.registry = self.registry.activated(version)
            if self.counted[-1] != version:
                self.counted = [*self.counted, version][-KEPT_ACTIVATIONS:]

    @precondition(lambda self: len(self.counted) > 1)
    @rule()
    def roll_back(self) -> None:
        self.registry = self.registry.rolled_back()
        self.counted.pop()

    @invariant()
    def the_right_one_counts(self) -> None:
        assert self.registry.active.version == self.counted[-1]
        for known in self.registry.models[1:]:
            assert known.weight(Term.INTERESTS) == int(known.version[1:]) / 5


TestRegistryMachine = RegistryMachine.TestCase
