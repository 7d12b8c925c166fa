"""The three listeners of a process: public gRPC, internal gRPC, HTTP."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence

import grpc
import uvicorn
from fastapi import APIRouter, FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from inyeon.runtime.errors import SettingsRefused
from inyeon.runtime.settings import RuntimeSettings

MAX_MESSAGE_BYTES = 256 * 1024

CONNECTION_AGE_S = 1800  # then devices are asked to connect anew, so that load spreads
CONNECTION_GRACE_S = 690  # a stream ends itself by age after 660 s at most (600 + 10 %); 30 spare
KEEPALIVE_S = 60  # a device whose network is gone is noticed after 60 + 20 s
KEEPALIVE_TIMEOUT_S = 20
MIN_PING_S = 50  # agents ping every 60 s during a call; the default of 300 would cut them off


def grpc_server(
    settings: RuntimeSettings, interceptors: Sequence[grpc.aio.ServerInterceptor]
) -> grpc.aio.Server:
    """A server with the project's limits. Nothing is bound yet."""
    return grpc.aio.server(
        interceptors=interceptors,
        maximum_concurrent_rpcs=settings.max_streams,
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),  # two processes on one port would share its calls silently
            ("grpc.max_connection_age_ms", CONNECTION_AGE_S * 1000),
            ("grpc.max_connection_age_grace_ms", CONNECTION_GRACE_S * 1000),
            ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),
            ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_S * 1000),
            ("grpc.keepalive_permit_without_calls", 0),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", MIN_PING_S * 1000),
        ],
    )


def bind_grpc(server: grpc.aio.Server, host: str, port: int, name: str) -> int:
    """Binds and returns the port. Raises SettingsRefused where it is taken."""
    try:
        return server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        message = f"cannot listen on {host}:{port}; another process may"
        raise SettingsRefused(message, reason="PORT_TAKEN", field=name) from error


def bind_http(host: str, port: int) -> socket.socket:
    """A listening socket. Raises SettingsRefused where the port is taken."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        message = f"cannot listen on {host}:{port}: {error.strerror}"
        raise SettingsRefused(message, reason="PORT_TAKEN", field="INYEON_HTTP_PORT") from error


def http_app(
    metrics: CollectorRegistry,
    readiness: Callable[[], Mapping[str, bool]],
    routers: Sequence[APIRouter],
) -> FastAPI:
    """`/metrics`, `/healthz` (the process lives), `/readyz` (503 until every service is ready), and
    the services' pages.
    """
    app = FastAPI(title="Inyeon", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/metrics")
    async def show_metrics() -> Response:
        return Response(generate_latest(metrics), media_type=CONTENT_TYPE_LATEST)

    @app.get("/healthz")
    async def live() -> dict[str, bool]:
        return {"alive": True}

    @app.get("/readyz")
    async def ready(response: Response) -> dict[str, object]:
        services = readiness()
        everything = bool(services) and all(services.values())
        response.status_code = 200 if everything else 503
        return {"ready": everything, "services": dict(services)}

    for router in routers:
        app.include_router(router)
    return app


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handlers: the harness has its own."""

    def __init__(self, app: FastAPI) -> None:
        # 4 s for open pages: within the harness's 5 s for tasks.
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=4
        )
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
