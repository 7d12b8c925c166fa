"""What a wish may say: each refusal with its field and reason."""

from __future__ import annotations

import math

import numpy as np
import pytest

from inyeon.matching.domain.explaining import explain, similarity
from inyeon.matching.domain.interests import Encoding, Interests, Space, read_interests
from inyeon.matching.domain.languages import Routes, SpokenLanguage, tag_code
from inyeon.matching.domain.matches import MatchReason
from inyeon.matching.domain.people import Gender, country_index
from inyeon.matching.domain.refusals import WishRefused
from inyeon.matching.domain.scoring import Patience, wanted_similarity
from inyeon.matching.domain.tickets import Wish

pytestmark = pytest.mark.unit

STEPS = Space("m", "1", 3, Encoding.INT8, 0.5)
SCALED = Space("m", "1", 3, Encoding.INT8_SCALED, 0.0)
HALVES = Space("m", "1", 3, Encoding.FLOAT16, 0.0)


def f4(value: float) -> bytes:
    return np.float32(value).tobytes()


def halves(*numbers: float) -> bytes:
    return np.array(numbers, np.float16).tobytes()


@pytest.mark.parametrize(
    ("space", "data"),
    [(STEPS, bytes([3, 0, 4])), (SCALED, f4(0.1) + bytes([3, 0, 4])), (HALVES, halves(3, 0, 4))],
)
def test_every_encoding_reads_to_a_unit_vector(space: Space, data: bytes) -> None:
    read = read_interests(space, data)
    assert read.direction.dtype == np.float32
    assert read.direction.tolist() == pytest.approx([0.6, 0.0, 0.8])
    assert (read.space, read.data) == (space, data)


def test_negative_numbers_keep_their_sign() -> None:
    data = np.array([-128, 0, 0], np.int8).tobytes()
    assert read_interests(STEPS, data).direction.tolist() == [-1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("space", "data", "field", "reason"),
    [
        (Space("m", "1", 0, Encoding.INT8, 1.0), b"", "space.dims", "VECTOR_DIMS"),
        (Space("m", "1", 2049, Encoding.INT8, 1.0), b"", "space.dims", "VECTOR_DIMS"),
        (STEPS, b"ab", "data", "VECTOR_LENGTH"),
        (SCALED, b"abc", "data", "VECTOR_LENGTH"),
        (HALVES, b"abcdefg", "data", "VECTOR_LENGTH"),
        (Space("m", "1", 3, Encoding.INT8, 0.0), b"abc", "space.scale", "VECTOR_SCALE"),
        (Space("m", "1", 3, Encoding.INT8, math.nan), b"abc", "space.scale", "VECTOR_SCALE"),
        (Space("m", "1", 3, Encoding.INT8, math.inf), b"abc", "space.scale", "VECTOR_SCALE"),
        (Space("m", "1", 3, Encoding.FLOAT16, 1.0), b"abcdef", "space.scale", "VECTOR_SCALE"),
        (SCALED, f4(math.nan) + b"abc", "data", "VECTOR_SCALE"),
        (SCALED, f4(-1) + b"abc", "data", "VECTOR_SCALE"),
        (SCALED, f4(math.inf) + b"abc", "data", "VECTOR_SCALE"),
        (HALVES, halves(1, math.nan, 0), "data", "VECTOR_NOT_FINITE"),
        (HALVES, halves(1, math.inf, 0), "data", "VECTOR_NOT_FINITE"),
        (STEPS, bytes(3), "data", "VECTOR_ZERO"),
    ],
)
def test_a_vector_that_cannot_be_is_refused(
    space: Space, data: bytes, field: str, reason: str
) -> None:
    with pytest.raises(WishRefused) as refused:
        read_interests(space, data)
    assert (refused.value.field, refused.value.reason) == (f"wish.interests.{field}", reason)


def a_wish(
    *tongues: tuple[str, int],
    genders: frozenset[Gender] = frozenset(),
    countries: frozenset[str] = frozenset(),
    interests: Interests | None = None,
) -> Wish:
    return Wish(
        tuple(SpokenLanguage(tag, level) for tag, level in tongues),
        genders,
        countries,
        interests or read_interests(STEPS, bytes([3, 0, 4])),
        True,
    )


TWO_LETTERS = [f"{a}{b}" for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for b in "ABCDEFGHIJ"]


@pytest.mark.parametrize(
    ("tongues", "genders", "countries", "field", "reason"),
    [
        ([], [], [], "wish.languages", "LANGUAGE_COUNT"),
        ([(f"a{c}", 1) for c in "abcdefghi"], [], [], "wish.languages", "LANGUAGE_COUNT"),
        ([("en", 1), ("EN", 1)], [], [], "wish.languages[1].tag", "LANGUAGE_UNKNOWN"),
        ([("english", 1)], [], [], "wish.languages[0].tag", "LANGUAGE_UNKNOWN"),
        ([("en", 0)], [], [], "wish.languages[0].level", "LANGUAGE_LEVEL"),
        ([("en", 6)], [], [], "wish.languages[0].level", "LANGUAGE_LEVEL"),
        ([("en", 1), ("en", 2)], [], [], "wish.languages", "LANGUAGE_REPEATED"),
        ([("en", 1)], [Gender.UNKNOWN], [], "wish.genders", "GENDER_UNKNOWN"),
        ([("en", 1)], [], ["us"], "wish.countries", "COUNTRY_UNKNOWN"),
        ([("en", 1)], [], ["USA"], "wish.countries", "COUNTRY_UNKNOWN"),
        ([("en", 1)], [], TWO_LETTERS, "wish.countries", "COUNTRY_COUNT"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(
    tongues: list[tuple[str, int]],
    genders: list[Gender],
    countries: list[str],
    field: str,
    reason: str,
) -> None:
    with pytest.raises(WishRefused) as refused:
        a_wish(*tongues, genders=frozenset(genders), countries=frozenset(countries))
    assert (refused.value.field, refused.value.reason) == (field, reason)


def test_tags_and_countries_have_numbers_of_their_own() -> None:
    tags = [a + b + c for a in "az" for b in "amz" for c in ["", "a", "z"]]
    assert len({tag_code(tag, "f") for tag in tags}) == len(tags)
    assert max(tag_code(tag, "f") for tag in tags) == 19_682
    assert (country_index("AA", "f"), country_index("ZZ", "f")) == (0, 675)


@pytest.mark.parametrize("name", ["en", "en-en", "en-es-fr"])
def test_a_route_is_two_languages(name: str) -> None:
    with pytest.raises(WishRefused):
        Routes.parse([name])


def test_routes_go_both_ways() -> None:
    routes = Routes.parse(["es-en"])
    assert routes.between("en", "es") and routes.between("es", "en")
    assert not routes.between("en", "fr")
    assert routes.codes() == ((tag_code("en", "f"), tag_code("es", "f")),)


def test_patience_falls_in_a_line_to_nothing() -> None:
    patience = Patience(start=0.4, relaxed_after_s=20.0)
    wanted = wanted_similarity(patience, np.array([0.0, 10.0, 20.0, 1e9]))
    assert wanted.tolist() == pytest.approx([0.4, 0.2, 0.0, 0.0])


def test_the_best_common_language_is_told() -> None:
    one = a_wish(("en", 5), ("es", 3), ("fr", 3))
    other = a_wish(("fr", 3), ("es", 4), ("en", 1))
    reasons = explain(one, other, (0.0, 0.0), Routes())
    assert [(r.reason, r.strength, r.detail) for r in reasons] == [
        (MatchReason.INTERESTS, pytest.approx(1.0), ""),
        (MatchReason.COMMON_LANGUAGE, 3.0, "es"),
    ]


def test_a_translated_pair_and_a_long_wait_are_told() -> None:
    elsewhere = Space("other", "1", 3, Encoding.INT8, 0.5)
    one = a_wish(("fr", 5), ("es", 5))
    other = a_wish(("ja", 5), ("en", 5), interests=read_interests(elsewhere, bytes([3, 0, 4])))
    reasons = explain(one, other, (3.0, 21.0), Routes.parse(["en-es"]))
    assert [(r.reason, r.strength, r.detail) for r in reasons] == [
        (MatchReason.TRANSLATED, 1.0, "en-es"),
        (MatchReason.WAITED_LONG, 21.0, ""),
    ]


def test_interests_of_different_spaces_are_not_comparable() -> None:
    elsewhere = Space("m", "2", 3, Encoding.INT8, 0.5)
    one = a_wish(("en", 5))
    other = a_wish(("en", 5), interests=read_interests(elsewhere, bytes([3, 0, 4])))
    assert similarity(one, one) == pytest.approx(1.0)
    assert similarity(one, other) == 0.0
