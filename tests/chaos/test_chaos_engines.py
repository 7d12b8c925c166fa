"""The short form of `make chaos`, on real engines: a broker restart, kills and cuts lose and double
nothing; people meet again soon after the pool's owner was killed.

Each starts engines of its own, because it ends them.
"""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path

import pytest

from inyeon_chaos.log_scenario import RESTART, Plan, one_broker
from inyeon_chaos.measured import Measured
from inyeon_chaos.platform_scenario import OWNER_KILLED, SMALL, platform
from inyeon_stack import EngineMissing

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.engine("kafka"),
    pytest.mark.engine("postgresql"),
]

SHORT = Plan(kills=3, restarts=1, cuts=1, database_kills=0, long_faults=False)


@pytest.fixture
def folder(engine_folder: Path, request: pytest.FixtureRequest) -> Path:
    """Everybody may enter it, as PostgreSQL needs it where we are root."""
    made = engine_folder / f"chaos-{request.node.name}"
    made.mkdir(mode=0o711)
    return made


# Engines 7 s, four processes 15 s, six faults of 5 to 15 s and the last effects 5 s: some 60 s; the
# rest is for a machine with other work.
@pytest.mark.timeout(300)
async def test_kills_and_a_broker_restart_lose_and_double_nothing(folder: Path) -> None:
    measured = await _or_skip(one_broker(folder, SHORT, print))
    assert measured.breaches == []
    assert (measured.lost, measured.doubled, measured.crashes) == (0, 0, 0)
    assert (measured.kills, measured.restarts) == (3, 1)
    assert measured.accepted > 0
    assert measured.longest_s(RESTART) <= 60.0


# Engines 7 s, four processes 25 s, a kill 20 s, and 40 s until nobody is live or waits.
@pytest.mark.timeout(300)
async def test_people_meet_again_after_the_owner_was_killed(folder: Path) -> None:
    measured = await _or_skip(platform(folder, SMALL, None, print))
    assert measured.breaches == []
    assert (measured.kills, measured.crashes) == (1, 0)
    assert measured.accepted > 0
    assert measured.longest_s(OWNER_KILLED) > 0.0


async def _or_skip(run: Awaitable[Measured]) -> Measured:
    try:
        return await run
    except EngineMissing as missing:
        pytest.skip(str(missing))
