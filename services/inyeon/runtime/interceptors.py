"""The one interceptor in front of every method: trace, identity, rate, fields, deadline, errors.

In this order: whoever has no token learns nothing of the fields, and who calls
too often costs no validation.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import structlog

from inyeon.runtime.deadlines import deadline
from inyeon.runtime.errors import InyeonError
from inyeon.runtime.identity.context import set_current_claims
from inyeon.runtime.identity.tokens import TokenVerifier
from inyeon.runtime.ratelimit import Rate, RateLimiter
from inyeon.runtime.status import OK, to_grpc_status, unexpected
from inyeon.runtime.telemetry import RpcMetrics
from inyeon.runtime.tracing import begin_span
from inyeon.runtime.validation import validate
from inyeon_protos.common.v1.stream_pb2 import ClientControl

DEFAULT_DEADLINE_S = 5.0  # the longest unary call, a translation by engine, has 2 s; and spare
MAX_DEADLINE_S = 30.0  # a caller with more patience gets an answer by then all the same

_PLATFORM_PREFIX = "grpc."  # grpc.health.v1, grpc.reflection.v1: no token, no rules of ours

_UNARY = Rate(per_s=20, burst=60)
_STREAMS = Rate(per_s=2, burst=20)
_ANONYMOUS = Rate(per_s=200, burst=1000)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Access:
    """Who may call what, and how often."""

    audiences: Mapping[str, str]
    """gRPC service name -> audience of its tokens."""
    open_methods: frozenset[str] = frozenset()
    """Methods (`package.Service/Method`, a leading slash does not matter) that need no token."""
    unary: Rate = _UNARY
    """Of one subject and method. People press buttons: 20/s is a script."""
    streams: Rate = _STREAMS
    """Opens of one subject and method. A device resumes after 1 s or more."""
    anonymous: Rate = _ANONYMOUS
    """Open methods by address, behind which a load test or a school may sit."""

    def is_open(self, method: str) -> bool:
        """The method needs no token."""
        return method.strip("/") in {name.strip("/") for name in self.open_methods}

    def audience(self, method: str) -> str:
        """Audience of the method's service; tokens for an unknown one do not exist."""
        return self.audiences.get(method.strip("/").partition("/")[0], "")


class Gate(grpc.aio.ServerInterceptor):
    """Wraps each method once, on its first call."""

    def __init__(
        self, access: Access, verifier: TokenVerifier, limiter: RateLimiter, metrics: RpcMetrics
    ) -> None:
        self._access = access
        self._verifier = verifier
        self._limiter = limiter
        self._metrics = metrics
        self._wrapped: dict[str, Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        method = str(handler_call_details.method)
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None  # UNIMPLEMENTED; not kept, or made-up names would fill the memory
            self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    def _wrap(self, method: str, handler: Any) -> Any:
        if method.strip("/").startswith(_PLATFORM_PREFIX):
            return handler
        make, behaviour = self._chosen(method, handler)
        return make(
            behaviour,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _chosen(self, method: str, handler: Any) -> tuple[Any, Any]:
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler, self._unary(method, handler.unary_unary)
        if handler.stream_unary:
            behaviour = self._unary(method, handler.stream_unary)
            return grpc.stream_unary_rpc_method_handler, behaviour
        if handler.unary_stream:
            behaviour = self._stream(method, handler.unary_stream, _checked)
            return grpc.unary_stream_rpc_method_handler, behaviour
        check = _unchecked if _speaks_stream_protocol(handler) else _checked
        behaviour = self._stream(method, handler.stream_stream, check)
        return grpc.stream_stream_rpc_method_handler, behaviour

    def _unary(self, method: str, behaviour: Any) -> Any:
        async def call(request: Any, context: Any) -> Any:
            started = time.perf_counter()
            async with self._edge(method, context):
                await self._admit(method, context, self._access.unary)
                left_s = context.time_remaining()
                async with deadline(min(left_s or DEFAULT_DEADLINE_S, MAX_DEADLINE_S)):
                    answer = await behaviour(_checked(request), context)
            self._metrics.seconds.labels(method).observe(time.perf_counter() - started)
            return answer

        return call

    def _stream(self, method: str, behaviour: Any, check: Callable[[Any], Any]) -> Any:
        async def call(request: Any, context: Any) -> AsyncIterator[Any]:
            async with self._edge(method, context):
                await self._admit(method, context, self._access.streams)
                checked = check(request)
                with self._metrics.streams.labels(method).track_inprogress():
                    async with _closing(checked), _closing(behaviour(checked, context)) as result:
                        if not hasattr(result, "__aiter__"):
                            await result  # a coroutine that writes by itself
                            return
                        async for answer in result:
                            yield answer

        return call

    async def _admit(self, method: str, context: Any, rate: Rate) -> None:
        if self._access.is_open(method):
            self._limiter.take(_address(context.peer()), method, self._access.anonymous)
            return
        token = _bearer(_metadata(context).get("authorization", ""))
        claims = await self._verifier.verify(token, self._access.audience(method))
        set_current_claims(claims)
        self._limiter.take(claims.subject, method, rate)

    @asynccontextmanager
    async def _edge(self, method: str, context: Any) -> AsyncIterator[None]:
        """The process's edge: here every exception ends, is counted and becomes a status."""
        begin_span(_metadata(context))
        set_current_claims(None)
        structlog.contextvars.bind_contextvars(rpc=method)
        count = self._counter(method)
        try:
            yield
        except InyeonError as error:
            count(error.code.name)
            await context.abort_with_status(to_grpc_status(error))
        except grpc.aio.AbortError:
            count(_aborted_code(context))
            raise
        except Exception:
            count(grpc.StatusCode.INTERNAL.name)
            self._metrics.unexpected.labels(method).inc()
            _log.exception("rpc.unexpected_error", method=method)
            await context.abort_with_status(unexpected())
        except BaseException:
            count(grpc.StatusCode.CANCELLED.name)
            raise
        else:
            count(OK)

    def _counter(self, method: str) -> Callable[[str], None]:
        return lambda code: self._metrics.handled.labels(method, code).inc()


@asynccontextmanager
async def _closing(thing: Any) -> AsyncIterator[Any]:
    """Closes a generator that was not read to its end; anything else is left as it is."""
    try:
        yield thing
    finally:
        close = getattr(thing, "aclose", None)
        if close is not None:
            await close()


def _checked(request: Any) -> Any:
    """The request, or the stream of requests with each one checked as it comes."""
    if hasattr(request, "__aiter__"):
        return _checked_each(request)
    validate(request)
    return request


async def _checked_each(requests: Any) -> AsyncIterator[Any]:
    # gRPC's iterator is a generator; left to the collector it may outlive its loop.
    async with aclosing(aiter(requests)) as messages:
        async for request in messages:
            validate(request)
            yield request


def _unchecked(requests: Any) -> Any:
    return requests


def _speaks_stream_protocol(handler: Any) -> bool:
    """`StreamServer` checks its messages itself, in order with everything else about them."""
    # The generated code gives `SomeRequest.FromString`, a method bound to the message class.
    request_type = getattr(handler.request_deserializer, "__self__", None)
    fields = getattr(getattr(request_type, "DESCRIPTOR", None), "fields_by_name", {})
    control = fields.get("control")
    return control is not None and control.message_type is ClientControl.DESCRIPTOR


def _metadata(context: Any) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _address(peer: str) -> str:
    """`ipv4:10.0.0.1:5000` without the port, which changes with each connection."""
    return peer.rpartition(":")[0]


def _aborted_code(context: Any) -> str:
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else grpc.StatusCode.UNKNOWN.name
