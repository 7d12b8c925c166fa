"""What a wave would have paired under the other versions that it might have gone by."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from inyeon.matching.app.recording import Asked
from inyeon.matching.domain.courses import Course, chances
from inyeon.matching.domain.waves import Wave, decide

SHADOWED = 2_000
"""In a larger pool a pass for each version would cost more than 30 ms. There the record says what
it takes to work the chances out later."""


async def exact_chances(asked: Asked, wave: Wave, course: Course) -> tuple[float, ...]:
    """Chance of each pair of the wave over all versions of the course; empty where it was not
    explored, and in a pool above SHADOWED."""
    if not course.shares or len(wave.snapshot) > SHADOWED:
        return ()
    waves = {course.model.version: wave}
    for model, _ in course.shares:
        if model.version != course.model.version:
            rules = replace(asked.rules, score=model)
            waves[model.version] = await asyncio.to_thread(
                decide, asked.snapshot, rules, asked.seed, asked.seekers
            )
    return chances(course, waves, wave)
