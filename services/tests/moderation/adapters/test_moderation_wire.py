"""Windows from the wire: every wrong one names its field and a reason."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inyeon.moderation.adapters.neighbours import DIRECTIVE, WINDOW, receiver
from inyeon.moderation.adapters.wire import directive_from, directive_to, window_from, window_to
from inyeon.moderation.domain.directive import Action, Directive
from inyeon.moderation.domain.observation import Presence, Subject, Window
from inyeon.moderation.errors import WindowRefused
from inyeon_protos.common.v1 import vector_pb2
from inyeon_protos.moderation.v1 import safety_pb2

pytestmark = pytest.mark.unit


def message() -> safety_pb2.ObservationWindow:
    made = safety_pb2.ObservationWindow(
        subject=safety_pb2.OBSERVED_SUBJECT_MYSELF,
        presence=safety_pb2.PRESENCE_STATE_ALONE,
        presence_share=1.0,
        scores=safety_pb2.FilterScores(
            model="mobilenet_v2",
            version="1",
            frames=2,
            mean=[0.0, 0.0, 1.0, 0.0, 0.0],
            max=[0.0, 0.0, 1.0, 0.0, 0.0],
        ),
        embedding=vector_pb2.Vector(
            space=vector_pb2.EmbeddingSpace(
                model="m",
                version="1",
                dims=64,
                encoding=vector_pb2.VECTOR_ENCODING_INT8_SCALED,
            ),
            data=struct.pack("<f", 0.5) + bytes(64),
        ),
    )
    made.started_at.FromSeconds(1)
    made.duration.FromMilliseconds(1000)
    return made


def test_a_good_window() -> None:
    seen = window_from(7, message())
    assert (seen.window_id, seen.subject, seen.duration_s) == (7, Subject.MYSELF, 1.0)
    assert seen.scores is not None
    assert seen.embedding is not None
    assert seen.embedding.space == ("m", "1")


def set_subject(m: safety_pb2.ObservationWindow) -> None:
    m.subject = 99  # type: ignore[assignment]


def set_presence(m: safety_pb2.ObservationWindow) -> None:
    m.presence = 99  # type: ignore[assignment]


def set_partner(m: safety_pb2.ObservationWindow) -> None:
    m.subject = safety_pb2.OBSERVED_SUBJECT_PARTNER


def set_nothing(m: safety_pb2.ObservationWindow) -> None:
    m.duration.FromSeconds(0)


def set_negative(m: safety_pb2.ObservationWindow) -> None:
    m.duration.FromSeconds(-1)


def set_hour(m: safety_pb2.ObservationWindow) -> None:
    m.duration.FromSeconds(3600)


def set_four(m: safety_pb2.ObservationWindow) -> None:
    del m.scores.mean[4:]


def set_six(m: safety_pb2.ObservationWindow) -> None:
    m.scores.max.append(0.0)


def set_nan(m: safety_pb2.ObservationWindow) -> None:
    m.scores.mean[2] = math.nan


def set_large(m: safety_pb2.ObservationWindow) -> None:
    m.scores.max[2] = 1.5


def set_no_frames(m: safety_pb2.ObservationWindow) -> None:
    m.scores.frames = 0


def set_dims(m: safety_pb2.ObservationWindow) -> None:
    m.embedding.space.dims = 128


def set_encoding(m: safety_pb2.ObservationWindow) -> None:
    m.embedding.space.encoding = vector_pb2.VECTOR_ENCODING_FLOAT16


def set_short(m: safety_pb2.ObservationWindow) -> None:
    m.embedding.data = m.embedding.data[:-1]


def set_scale(m: safety_pb2.ObservationWindow) -> None:
    m.embedding.data = struct.pack("<f", math.nan) + bytes(64)


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        (set_subject, "window.subject", "ENUM_UNKNOWN"),
        (set_presence, "window.presence", "ENUM_UNKNOWN"),
        (set_partner, "window.match_id", "MATCH_MISSING"),
        (set_nothing, "window.duration", "DURATION_RANGE"),
        (set_negative, "window.duration", "DURATION_RANGE"),
        (set_hour, "window.duration", "DURATION_RANGE"),
        (set_four, "window.scores.mean", "SCORES_LENGTH"),
        (set_six, "window.scores.max", "SCORES_LENGTH"),
        (set_nan, "window.scores.mean", "SCORES_RANGE"),
        (set_large, "window.scores.max", "SCORES_RANGE"),
        (set_no_frames, "window.scores.frames", "SCORES_FRAMES"),
        (set_dims, "window.embedding.space", "EMBEDDING_SPACE"),
        (set_encoding, "window.embedding.space", "EMBEDDING_SPACE"),
        (set_short, "window.embedding.data", "EMBEDDING_LENGTH"),
        (set_scale, "window.embedding.data", "EMBEDDING_SCALE"),
    ],
)
def test_bad_windows_are_refused(
    change: Callable[[safety_pb2.ObservationWindow], None], field: str, reason: str
) -> None:
    made = message()
    change(made)
    with pytest.raises(WindowRefused) as refused:
        window_from(1, made)
    assert (refused.value.field, refused.value.reason) == (field, reason)


def test_the_devices_clock_is_never_read() -> None:
    early, late = message(), message()
    early.started_at.FromSeconds(-62135596800)
    late.started_at.FromSeconds(253402300799)
    assert window_from(1, early) == window_from(1, late)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_window_or_refused(data: bytes) -> None:
    made = safety_pb2.ObservationWindow()
    try:
        made.ParseFromString(data)
    except Exception:
        return
    try:
        seen = window_from(1, made)
    except WindowRefused as refused:
        assert refused.field.startswith("window.")
        return
    assert 0 < seen.duration_s <= 60


def test_deliveries_between_replicas(window: Callable[..., Window]) -> None:
    taken: list[object] = []

    def direct(directive: Directive) -> bool:
        taken.append(directive)
        return True

    def corroborate(seen: Window) -> bool:
        taken.append(seen)
        return True

    deliver = receiver(direct, corroborate)
    order = Directive("d", Action.WARN, Subject.PARTNER, "R", "m", "p-1")
    assert directive_from(directive_to(order)) == order
    assert deliver(DIRECTIVE, directive_to(order).SerializeToString())
    seen = Window(0, Subject.PARTNER, 1.5, Presence.SEVERAL, window(Porn=0.5).scores, True, "m")
    assert deliver(WINDOW, window_to(seen).SerializeToString())
    blind = Window(0, Subject.PARTNER, 1.5, Presence.AWAY, None, False, "m")
    assert deliver(WINDOW, window_to(blind).SerializeToString())
    assert taken == [order, seen, blind]


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        (DIRECTIVE, b"\xff"),
        (DIRECTIVE, b""),
        (WINDOW, b"\xff"),
        (WINDOW, b""),
        ("inyeon.moderation.v1.Verdict", b""),
    ],
)
def test_unreadable_deliveries_are_not_taken(name: str, payload: bytes) -> None:
    assert not receiver(lambda _: True, lambda _: True)(name, payload)
