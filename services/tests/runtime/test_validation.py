"""Field rules: every message of the contract, by its own annotations."""

from __future__ import annotations

import math
import struct
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from inyeon.runtime.errors import InvalidRequest
from inyeon.runtime.validation import validate
from inyeon_protos.common.v1 import stream_pb2, vector_pb2
from inyeon_protos.common.v1.identity_pb2 import AGE_BAND_ADULT
from inyeon_protos.edge.v1 import edge_pb2
from inyeon_protos.matching.v1 import matching_pb2
from inyeon_protos.moderation.v1 import safety_pb2
from inyeon_protos.translation.v1 import translation_pb2

pytestmark = pytest.mark.unit

INT8 = vector_pb2.VECTOR_ENCODING_INT8
INT8_SCALED = vector_pb2.VECTOR_ENCODING_INT8_SCALED
FLOAT16 = vector_pb2.VECTOR_ENCODING_FLOAT16


def broken(message: Message) -> tuple[str, str]:
    """(field, reason) of what is wrong."""
    with pytest.raises(InvalidRequest) as caught:
        validate(message)
    return caught.value.field, caught.value.reason


def observation() -> safety_pb2.ObserveRequest:
    """A window with everything that a real device fills."""
    request = safety_pb2.ObserveRequest(sequence=1)
    window = request.window
    window.subject = safety_pb2.OBSERVED_SUBJECT_MYSELF
    window.started_at.FromSeconds(1_700_000_000)
    window.duration.FromTimedelta(timedelta(seconds=1))
    window.scores.model, window.scores.version, window.scores.frames = "m", "1", 2
    window.scores.mean.extend([0.2] * 5)
    window.scores.max.extend([0.3] * 5)
    window.embedding.CopyFrom(vector(INT8_SCALED, 64, struct.pack("<f", 0.01) + bytes(64)))
    return request


def vector(encoding: Any, dims: int, data: bytes, scale: float = 0.0) -> vector_pb2.Vector:
    space = vector_pb2.EmbeddingSpace(
        model="m", version="1", dims=dims, encoding=encoding, scale=scale
    )
    return vector_pb2.Vector(space=space, data=data)


def wish() -> matching_pb2.Wish:
    languages = [matching_pb2.SpokenLanguage(tag="es", level=5)]
    return matching_pb2.Wish(languages=languages, interests=vector(INT8, 4, bytes(4), 0.01))


def test_what_obeys_passes() -> None:
    validate(observation())
    validate(wish())
    validate(edge_pb2.IssueTokenRequest(age_band=AGE_BAND_ADULT, country="KR"))
    validate(translation_pb2.TranslateRequest(text="hola", target_language="en"))


def _window(change: Any) -> safety_pb2.ObserveRequest:
    request = observation()
    change(request.window)
    return request


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        (lambda w: w.ClearField("subject"), "subject", "REQUIRED"),
        (lambda w: setattr(w, "subject", 9), "subject", "UNKNOWN_ENUM"),
        (lambda w: setattr(w, "presence", -1), "presence", "UNKNOWN_ENUM"),
        (lambda w: w.ClearField("started_at"), "started_at", "REQUIRED"),
        (lambda w: setattr(w.started_at, "seconds", 2**40), "started_at", "INVALID_TIME"),
        (lambda w: setattr(w.started_at, "nanos", -1), "started_at", "INVALID_TIME"),
        (lambda w: setattr(w.duration, "nanos", -1), "duration", "INVALID_TIME"),
        (lambda w: setattr(w.duration, "seconds", 2**60), "duration", "INVALID_TIME"),
        (lambda w: setattr(w, "presence_share", math.nan), "presence_share", "NOT_FINITE"),
        (lambda w: setattr(w, "presence_share", math.inf), "presence_share", "NOT_FINITE"),
        (lambda w: setattr(w, "presence_share", 1.5), "presence_share", "OUT_OF_RANGE"),
        (lambda w: setattr(w, "match_id", "m" * 65), "match_id", "TOO_LONG"),
        (lambda w: setattr(w, "match_id", "ü" * 33), "match_id", "TOO_LONG"),
        (lambda w: setattr(w, "match_id", "a\0b"), "match_id", "NUL_CHARACTER"),
        (lambda w: w.scores.mean.pop(), "scores.mean", "TOO_SHORT"),
        (lambda w: w.scores.mean.append(0), "scores.mean", "TOO_LONG"),
        (lambda w: w.scores.ClearField("mean"), "scores.mean", "TOO_SHORT"),
        (lambda w: w.scores.mean.__setitem__(2, 1.01), "scores.mean[2]", "OUT_OF_RANGE"),
        (lambda w: w.scores.max.__setitem__(4, math.nan), "scores.max[4]", "NOT_FINITE"),
        (lambda w: setattr(w.scores, "frames", 10_001), "scores.frames", "OUT_OF_RANGE"),
        (lambda w: setattr(w, "perceptual_hash", bytes(9)), "perceptual_hash", "TOO_LONG"),
        (lambda w: setattr(w.embedding, "data", bytes(67)), "embedding.data", "VECTOR_LENGTH"),
        (lambda w: setattr(w.embedding.space, "dims", 0), "embedding.space.dims", "REQUIRED"),
        (lambda w: setattr(w.embedding.space, "model", "A B"), "embedding.space.model", "PATTERN"),
        (lambda w: w.embedding.ClearField("space"), "embedding.space", "REQUIRED"),
    ],
)
def test_each_broken_rule_names_its_field(change: Any, field: str, reason: str) -> None:
    assert broken(_window(change)) == (f"window.{field}", reason)


def test_items_of_repeated_messages_are_named_by_place() -> None:
    request = wish()
    request.languages.add(tag="EN", level=3)
    assert broken(request) == ("languages[1].tag", "PATTERN")
    request = wish()
    request.countries.extend(["KR", "kr"])
    assert broken(request) == ("countries[1]", "PATTERN")
    request = wish()
    genders: Any = [1, 77]
    request.genders.extend(genders)
    assert broken(request) == ("genders[1]", "UNKNOWN_ENUM")
    request = wish()
    del request.languages[:]
    assert broken(request) == ("languages", "TOO_SHORT")


def test_maps_are_looked_into() -> None:
    answer = safety_pb2.PolicyInForce(name="p", cover_at={"Drawing": 0.5})
    validate(answer)
    validate(edge_pb2.IssueTokenResponse(tokens={"inyeon-matching": "x"}))
    assert broken(edge_pb2.IssueTokenResponse(tokens={"a": "x\0"})) == (
        "tokens[a]",
        "NUL_CHARACTER",
    )


def test_an_unset_number_below_its_least_is_refused() -> None:
    control = stream_pb2.ClientControl()
    control.open.client_id, control.open.session_id = "c", "s"
    assert broken(control) == ("open.protocol_version", "REQUIRED")


@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        (vector(INT8, 4, bytes(4)), "space.scale", "VECTOR_SCALE"),
        (vector(INT8_SCALED, 4, bytes(8), 0.5), "space.scale", "VECTOR_SCALE"),
        (vector(INT8, 4, bytes(4), math.inf), "space.scale", "NOT_FINITE"),
        (vector(FLOAT16, 4, bytes(7)), "data", "VECTOR_LENGTH"),
        (vector(FLOAT16, 1, np.float16(np.nan).tobytes()), "data", "NOT_FINITE"),
        (vector(INT8_SCALED, 1, struct.pack("<fb", math.nan, 1)), "data", "NOT_FINITE"),
        (vector(INT8_SCALED, 1, struct.pack("<fb", -1, 1)), "data", "NOT_FINITE"),
        (vector(9, 4, bytes(4)), "space.encoding", "UNKNOWN_ENUM"),
        (vector(0, 4, bytes(4)), "space.encoding", "REQUIRED"),
        (vector(INT8, 2049, bytes(2049), 1), "space.dims", "OUT_OF_RANGE"),
    ],
)
def test_vectors_are_as_their_space_says(bad: Any, field: str, reason: str) -> None:
    assert broken(bad) == (field, reason)


@given(dims=st.integers(1, 2048), encoding=st.sampled_from([INT8, INT8_SCALED, FLOAT16]))
def test_exactly_one_length_fits_a_space(dims: int, encoding: Any) -> None:
    right = {INT8: dims, INT8_SCALED: dims + 4, FLOAT16: 2 * dims}[encoding]
    scale = 0.01 if encoding == INT8 else 0.0
    validate(vector(encoding, dims, bytes(right), scale))
    for wrong in (right - 1, right + 1):
        field, _ = broken(vector(encoding, dims, bytes(wrong), scale))
        assert field == "data"


@given(share=st.floats(allow_nan=True, allow_infinity=True, width=32))
def test_a_share_passes_exactly_within_its_range(share: float) -> None:
    request = observation()
    request.window.presence_share = share
    if 0 <= share <= 1:
        validate(request)
    else:
        assert broken(request)[0] == "window.presence_share"


@given(text=st.text(max_size=80))
def test_texts_are_counted_in_bytes(text: str) -> None:
    request = observation()
    request.window.match_id = text
    if len(text.encode()) <= 64 and "\0" not in text:
        validate(request)
    else:
        assert broken(request)[0] == "window.match_id"


@given(data=st.binary(max_size=300))
def test_whatever_parses_passes_or_is_refused_by_name(data: bytes) -> None:
    kinds: list[Any] = [safety_pb2.ObserveRequest, matching_pb2.SeekRequest]
    for kind in kinds:
        try:
            message = kind.FromString(data)
        except Exception:  # noqa: S112 - only what parses can reach a service
            continue
        try:
            validate(message)
        except InvalidRequest as error:
            assert error.field
