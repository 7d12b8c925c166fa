"""Recent conversations as protobuf, and the file of a length model."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from inyeon.matching.adapters.length_files import read_lengths
from inyeon.matching.adapters.recents import recent_from, recent_to
from inyeon.matching.domain.interests import Encoding, Space
from inyeon.matching.domain.lengths import LengthModel
from inyeon.matching.domain.recents import Recent
from inyeon.runtime.errors import SettingsRefused
from inyeon_protos.events.v1 import events_pb2

pytestmark = pytest.mark.unit

RECENT = Recent(Space("any", "2", 3, Encoding.INT8, 0.25), b"\x01\xff\x7f", 0.125, 6.5, 1.75e9)
MODEL = LengthModel((0.5,) * 6, (0.5,) * 6, (0.3,) * 6, 0.0)


def test_it_comes_back_as_it_was() -> None:
    data = recent_to(7, RECENT).SerializeToString()
    message = events_pb2.WaveRecent.FromString(data)
    again = recent_from(message)
    assert message.place == 7 and again is not None
    for name in ("space", "steps", "step", "usual_log", "ended_s"):
        assert getattr(again, name) == getattr(RECENT, name)


def test_nothing_known_any_more() -> None:
    assert recent_from(recent_to(7, None)) is None


@pytest.mark.parametrize("change", [{"step": 2.0}, {"steps": b"1"}])
def test_garbage_is_refused(change: dict[str, object]) -> None:
    message = recent_to(7, RECENT)
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(ValueError, match="step"):
        recent_from(message)


def test_an_unknown_encoding_is_refused() -> None:
    message = recent_to(7, RECENT)
    message.space.ClearField("encoding")
    with pytest.raises(ValueError, match="Encoding"):
        recent_from(message)


def test_a_length_model_is_read(tmp_path: Path) -> None:
    path = tmp_path / "lengths.json"
    path.write_text(json.dumps(asdict(MODEL)))
    assert read_lengths(path) == MODEL
    assert read_lengths(None) is None


@pytest.mark.parametrize("text", [None, "{", "[]", '{"means": [1]}', " " * 70_000])
def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "lengths.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsRefused, match=r"lengths\.json") as caught:
        read_lengths(path)
    assert caught.value.field == "INYEON_MATCHING_LENGTH_MODEL"
