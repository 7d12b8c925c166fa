"""The session encoder on tritonserver.

Nothing is kept on the server: an answer depends on its question alone, so a restarted server needs
no feeding and two servers are as good as one. A breaker stops asking one that does not answer and
lets a question through once in RETRY_S.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from inyeon.inference import session_recipe as recipe
from inyeon.inference import wire
from inyeon.inference.breaker import Breaker
from inyeon.inference.catalogue import SESSION_ENCODER
from inyeon.inference.errors import unavailable
from inyeon.inference.sessions import SessionQuestion, SessionState, check, rows, states
from inyeon.inference.triton import CHANNEL, mapped
from inyeon.runtime.clock import Clock
from inyeon.runtime.errors import InvalidRequest, InyeonError, Overloaded

RETRY_S = 1.0


class TritonSessionEncoder:
    """Implements SessionEncoder. `address` is host:port; `root_certificates` (PEM) asks for TLS."""

    def __init__(self, address: str, clock: Clock, root_certificates: bytes | None = None) -> None:
        self._address = address
        self._root_certificates = root_certificates
        self._breaker = Breaker(clock, retry_s=RETRY_S)
        self._client: Any = None
        self._closed = False

    @property
    def model(self) -> str:
        """As SessionEncoder says; a server with another one fails."""
        return recipe.NAME

    async def encode(
        self, questions: Sequence[SessionQuestion], budget_s: float
    ) -> tuple[SessionState, ...]:
        """As SessionEncoder says."""
        check(questions, budget_s)
        if self._closed or not self._breaker.allow():
            raise unavailable(f"{SESSION_ENCODER} does not answer and is not asked now")
        answered: bool | None = None
        try:
            found = await self._asked(questions, budget_s)
            answered = True
            return found
        except (Overloaded, InvalidRequest):  # it is there
            raise
        except InyeonError:
            answered = False
            raise
        finally:
            self._report(answered)

    async def close(self) -> None:
        """As SessionEncoder says."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _asked(
        self, questions: Sequence[SessionQuestion], budget_s: float
    ) -> tuple[SessionState, ...]:
        before, talks, partners = rows(questions)
        try:
            result = await self._connected().infer(
                SESSION_ENCODER,
                wire.session_inputs(before, talks, partners),
                outputs=wire.wanted(wire.SESSION_OUTPUTS),
                client_timeout=budget_s,
                timeout=max(1, int(budget_s * 1e6)),  # the server drops it from its queue by then
            )
        except InferenceServerException as error:
            raise mapped(error) from error
        except grpc.aio.UsageError as error:  # closed meanwhile
            raise unavailable(f"{SESSION_ENCODER}: the connection was closed") from error
        return states(wire.read_sessions(result, before.shape, recipe.NAME))

    def _report(self, answered: bool | None) -> None:
        """None: neither; the caller left, or the queue was full."""
        if answered is None:
            self._breaker.abandoned()
        elif answered:
            self._breaker.succeeded()
        else:
            self._breaker.failed()

    def _connected(self) -> Any:
        if self._client is None:
            certificates = self._root_certificates
            credentials = (
                None if certificates is None else grpc.ssl_channel_credentials(certificates)
            )
            self._client = InferenceServerClient(
                self._address, creds=credentials, channel_args=CHANNEL
            )
        return self._client
