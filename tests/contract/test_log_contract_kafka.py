"""The log contract over a real broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import ClassVar

import pytest
from prometheus_client import CollectorRegistry

from inyeon.runtime.clock import SystemClock
from inyeon.runtime.log.kafka import KafkaLog
from inyeon.runtime.log.port import Log
from inyeon.runtime.settings import RuntimeSettings
from inyeon_stack import KafkaCluster
from tests.contract.log_contract import LogContract

pytestmark = [pytest.mark.contract, pytest.mark.engine("kafka")]


class TestKafkaLog(LogContract):
    upkeep_is_ours: ClassVar[bool] = False

    @pytest.fixture
    async def log(self, kafka: KafkaCluster) -> AsyncIterator[Log]:
        settings = RuntimeSettings(kafka_servers=kafka.servers, replica="test")
        log = await KafkaLog.open(settings, SystemClock(), CollectorRegistry())
        yield log
        await log.close()
