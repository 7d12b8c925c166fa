"""A real tritonserver that encodes sessions for matching, is killed, and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from inyeon.inference.sessions_opening import open_session_encoder
from inyeon.inference.settings import InferenceSettings
from inyeon.matching.adapters.session_metrics import PrometheusSessionMeter
from inyeon.matching.app.sessions import Sessions
from inyeon.matching.domain.matches import EndReason, LiveMatch, Side
from inyeon.matching.domain.pool import Pool
from inyeon.matching.domain.session_vectors import absorbed
from inyeon.matching.domain.tickets import Ticket
from inyeon.matching.workload import synthetic_waiters
from inyeon.runtime.clock import SystemClock
from inyeon_stack import Triton
from tests.integration.triton_scene import BACK_S, own_server, until

pytestmark = [pytest.mark.integration, pytest.mark.engine("triton")]

ANA, BOB = (waiter.ticket for waiter in synthetic_waiters(2, 3))
TALK = timedelta(minutes=2)


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    """One of our own, because it is killed."""
    with own_server(tmp_path_factory.mktemp("triton")) as server:
        yield server


def side(ticket: Ticket) -> Side:
    return Side(ticket.user_id, ticket.wish.languages, "US", 0.0)


def talk(sessions: Sessions, ended_at: datetime) -> None:
    """Ana and Bob, for two minutes."""
    match = LiveMatch("m", "main", side(ANA), side(BOB), ended_at - TALK, ())
    sessions.began(match, (ANA, BOB))
    sessions.ended(match, EndReason.LEFT, ended_at)


def direction(sessions: Sessions) -> list[float]:
    """What the next wave knows of Ana; empty for nothing."""
    pool = Pool()
    pool.add(ANA, 0.0, 0.0)
    pool.heartbeat(ANA.user_id, 0.0, present=True, pass_until=9.0)
    recents = sessions.attach(pool.snapshot(1.0)).recents
    return (
        [] if not recents or recents[0] is None else (recents[0].whole * recents[0].step).tolist()
    )


async def test_vectors_grow_old_while_it_is_away_and_catch_up(server: Triton) -> None:
    clock, registry = SystemClock(), CollectorRegistry()
    encoder = open_session_encoder(InferenceSettings(triton=server.grpc), clock)
    sessions = Sessions(encoder, clock, PrometheusSessionMeter(registry))
    running = asyncio.create_task(sessions.run())
    try:
        first = clock.now()
        talk(sessions, first)
        await until(lambda: sessions.staleness_s(ANA.user_id) == 0.0, BACK_S)
        old = direction(sessions)
        once = absorbed(None, BOB.wish.interests, TALK.total_seconds(), first.timestamp())
        assert once is not None
        np.testing.assert_allclose(old, once.direction, atol=1e-3)

        await asyncio.to_thread(server.kill)
        second = clock.now()
        talk(sessions, second)
        failures = "inyeon_matching_session_failures_total"
        away = {"reason": "INFERENCE_UNAVAILABLE"}
        await until(lambda: bool(registry.get_sample_value(failures, away)), BACK_S)
        assert direction(sessions) == old
        assert (sessions.staleness_s(ANA.user_id) or 0.0) > 0.0

        await asyncio.to_thread(server.start)
        await until(lambda: sessions.staleness_s(ANA.user_id) == 0.0, BACK_S)
        twice = absorbed(once, BOB.wish.interests, TALK.total_seconds(), second.timestamp())
        assert twice is not None
        np.testing.assert_allclose(direction(sessions), twice.direction, atol=1e-3)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await encoder.close()
