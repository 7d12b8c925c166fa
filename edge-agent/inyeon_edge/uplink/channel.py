"""gRPC behind the seams of `protocol`: channels, calls, errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, Generic

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from inyeon_edge.errors import StreamBroken, StreamRefused, UplinkError
from inyeon_edge.uplink.protocol import Req, Res

KEEPALIVE_S = (
    90  # services permit one ping a minute, phones want 60 to 120 s; half a minute to spare
)
KEEPALIVE_TIMEOUT_S = 20  # a mobile hand-over takes up to 10 s; twice that is a dead path
MESSAGE_LIMIT_BYTES = 256 * 1024  # the platform's own limit

# Unary calls only: once headers came, a stream is never retried by gRPC; `stream` resumes it.
_RETRY = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}

_OPTIONS = [
    ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_S * 1000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
    ("grpc.max_send_message_length", MESSAGE_LIMIT_BYTES),
    # Below our own waits, or a try would fail without having looked.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
]

# A new connection may heal these; everything else is an answer.
_BREAKS = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DATA_LOSS,
}


def open_channel(endpoint: str, service: str = "") -> aio.Channel:
    """A channel to `host:port`, in the clear: development only. TLS comes with the chart's
    endpoints.

    `endpoint` may name several replicas by their IPv4 addresses, separated by commas: calls then go
    to those whose health says that `service` (full gRPC name) is served, such as the one replica
    that owns a pool.
    """
    config: dict[str, object] = dict(_RETRY)
    target = endpoint
    if "," in endpoint:
        target = f"ipv4:{endpoint}"
        config["loadBalancingConfig"] = [{"round_robin": {}}]
        config["healthCheckConfig"] = {"serviceName": service}
    options = [*_OPTIONS, ("grpc.service_config", json.dumps(config))]
    return aio.insecure_channel(target, options=options)


def bearer(token: str) -> Sequence[tuple[str, str]]:
    """Call metadata that carries a token."""
    return (("authorization", f"Bearer {token}"),)


def uplink_error(error: grpc.RpcError | aio.AioRpcError) -> UplinkError:
    """Our error for a call's end, with reason, field and retry time out of `google.rpc.Status`."""
    code = error.code() if isinstance(error, aio.AioRpcError) else grpc.StatusCode.UNKNOWN
    details = str(error.details() or "") if isinstance(error, aio.AioRpcError) else str(error)
    if code in _BREAKS:
        return StreamBroken(f"{code.name}: {details}")
    reason, field, retry_after_s = _details_of(error)
    return StreamRefused(
        details,
        code=code.name,
        reason=reason or code.name,
        field=field,
        retry_after_s=retry_after_s,
    )


class GrpcConnection(Generic[Req, Res]):
    """One bidirectional call."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def write(self, message: Req) -> None:
        try:
            await self._call.write(message)
        except aio.AioRpcError as error:
            raise uplink_error(error) from error
        except (aio.UsageError, asyncio.InvalidStateError) as error:
            await self._raise_end(str(error))

    async def read(self) -> Res | None:
        try:
            message = await self._call.read()
        except aio.AioRpcError as error:
            raise uplink_error(error) from error
        return None if message is aio.EOF else message

    def cancel(self) -> None:
        self._call.cancel()

    async def _raise_end(self, why: str) -> None:
        """The call ended before the write: its status says more than the usage error."""
        try:
            await self._call.read()
        except aio.AioRpcError as error:
            raise uplink_error(error) from error
        raise StreamBroken(why)


class GrpcTransport(Generic[Req, Res]):
    """Opens calls of one bidirectional method."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method

    def open(self, token: str) -> GrpcConnection[Req, Res]:
        return GrpcConnection(self._method(metadata=bearer(token), wait_for_ready=False))


def _details_of(error: Any) -> tuple[str, str, float]:
    """Reason and field of ErrorInfo and the seconds of RetryInfo; empty where the answer has
    none."""
    reason, field, retry_after_s = "", "", 0.0
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
                if detail.Unpack(info):
                    reason, field = info.reason, info.metadata.get("field", "")
                elif detail.Unpack(retry):
                    retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
    return reason, field, retry_after_s
