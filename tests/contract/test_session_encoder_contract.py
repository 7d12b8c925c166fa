"""The session encoder's contract in this process and on a real tritonserver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import pytest

from inyeon.inference.sessions import InProcessSessionEncoder, SessionEncoder
from inyeon.inference.sessions_triton import TritonSessionEncoder
from inyeon.runtime.clock import SystemClock
from tests.contract.session_encoder_contract import SessionEncoderContract

pytestmark = pytest.mark.contract


class _Server(Protocol):
    """What we use of the `triton` fixture."""

    @property
    def grpc(self) -> str: ...


class TestInProcess(SessionEncoderContract):
    @pytest.fixture
    async def encoder(self) -> AsyncIterator[SessionEncoder]:
        encoder = InProcessSessionEncoder()
        yield encoder
        await encoder.close()


@pytest.mark.engine("triton")
class TestTriton(SessionEncoderContract):
    @pytest.fixture
    async def encoder(self, triton: _Server) -> AsyncIterator[SessionEncoder]:
        encoder = TritonSessionEncoder(triton.grpc, SystemClock())
        yield encoder
        await encoder.close()
