"""Says the lines of a file, one after another, whenever a conversation is open."""

from __future__ import annotations

from collections.abc import Sequence

from inyeon_edge.agent.commands import Say
from inyeon_edge.agent.device import Device
from inyeon_edge.uplink.clock import Clock

EVERY_S = 2.0  # about as fast as a person types a short line


async def say_all(lines: Sequence[Say], device: Device, clock: Clock) -> None:
    """Returns when all are said."""
    for line in lines:
        await clock.sleep(EVERY_S)
        while device.meeting is None or not device.meeting.is_open:
            await clock.sleep(EVERY_S / 4)
        device.command(line)
