"""The stream protocol from a device's side, over real gRPC."""

from __future__ import annotations

from typing import Any

import pytest

from inyeon.runtime.streams.port import CloseReason
from inyeon_protos.common.v1 import stream_pb2 as pb

pytestmark = pytest.mark.unit


async def test_a_stream_opens_is_acknowledged_and_closes(
    observe: Any, observing: Any, make_window: Any, eventually: Any
) -> None:
    running = await observe()
    device = await observing(running)
    opened = await device.opened()
    assert (opened.epoch, opened.acknowledged, opened.max_in_flight) == (1, 0, 256)
    assert 800 < opened.token_expires_in.seconds <= 900
    assert opened.max_age.seconds == 660
    for sequence in (1, 2, 3):
        await device.write(make_window(sequence))
    await device.ack(3)
    await device.control(close=pb.StreamClose())
    assert (await device.ending()).reason == pb.STREAM_END_REASON_CLOSED
    assert running.handler.of("received") == [(1, 1), (1, 2), (1, 3)]
    assert running.handler.of("closed") == [(1, CloseReason.CLIENT_CLOSED)]
    await eventually(lambda: running.streams.open_streams == 0)
