"""`inyeon up --stack`: every service a process, on real engines; started, watched and ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import uuid
from pathlib import Path

import psutil
import pytest

from inyeon.cli.cluster.run import ClusterOptions, run_cluster
from inyeon.cli.roles import ROLES
from inyeon_stack import KafkaCluster, Postgres

pytestmark = [
    *(pytest.mark.e2e, pytest.mark.timeout(300)),
    *(pytest.mark.engine("kafka"), pytest.mark.engine("postgresql")),
]

PATIENCE_S = 200.0  # START_S and a little; six processes on two cores need some 20 s


@pytest.fixture
def options(
    kafka: KafkaCluster, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ClusterOptions:
    """A stack file of the engines, and a data folder and databases of the test's own."""
    prefix = f"t{uuid.uuid4().hex}"
    for service in ("matching", "moderation", "translation", "gateway"):
        postgres.create(f"{prefix}_{service}")
    facts = {"kafka": kafka.servers, "database_url": postgres.url(prefix + "_{service}")}
    (tmp_path / "stack.json").write_text(json.dumps(facts))
    monkeypatch.setenv("INYEON_DATA_DIR", str(tmp_path / "data"))
    replicas = ("matching=2", "relay=1", "moderation-worker=0")
    return ClusterOptions(tmp_path / "stack.json", replicas, free_ports=True, as_json=True)


async def test_a_signal_during_the_start_ends_all_of_them_well(options: ClusterOptions) -> None:
    running = asyncio.create_task(run_cluster(options, tuple(ROLES)))
    try:
        async with asyncio.timeout(PATIENCE_S):
            while len(_children()) < 6:  # noqa: ASYNC110 - the system tells nobody
                await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)
        assert await asyncio.wait_for(running, PATIENCE_S) == 0
        assert not _children()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _children() -> list[psutil.Process]:
    """Services that this process has started."""
    found = []
    for child in psutil.Process().children():
        try:
            if "serve" in child.cmdline():
                found.append(child)
        except psutil.Error:
            continue
    return found
