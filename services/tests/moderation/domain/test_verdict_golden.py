"""Golden score streams: what the shipped policy makes of them, window by window."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inyeon.moderation.adapters.policy_file import PolicyFile
from inyeon.moderation.domain.machine import VerdictMachine
from inyeon.moderation.domain.observation import CLASSES, Presence, Scores, Subject, Window

pytestmark = pytest.mark.unit
STREAMS = sorted((Path(__file__).parent.parent / "golden").glob("*.json"))


def windows_of(stream: dict[str, Any]) -> Iterator[tuple[float, Window]]:
    """(seconds since the window before, window) of a stream; classes not given go to Neutral."""
    number = 0
    for item in stream["windows"]:
        for _ in range(item["repeat"]):
            number += 1
            mean = [float(item.get(name, 0.0)) for name in CLASSES]
            mean[2] = item.get("Neutral", 1.0 - sum(mean))
            scores = Scores("mobilenet_v2", "1", item.get("frames", 2), tuple(mean), tuple(mean))
            yield (
                item["gap_s"],
                Window(
                    number,
                    Subject.MYSELF,
                    item.get("duration_s", 1.0),
                    Presence[item.get("presence", "ALONE")],
                    scores if item.get("scored", True) else None,
                    item.get("covered", False),
                ),
            )


def test_there_are_streams() -> None:
    assert len(STREAMS) >= 12


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_stream(path: Path, policy_file: PolicyFile) -> None:
    stream = json.loads(path.read_text())
    machine, now_s, seen = VerdictMachine(policy_file.policy), 100.0, []
    for gap_s, window in windows_of(stream):
        now_s += gap_s
        if moved := machine.observe(window, now_s).transition:
            seen.append(
                {
                    "window": window.window_id,
                    "verdict": moved.after.value,
                    "reason": moved.reason,
                }
            )
    assert seen == stream["expect"]
