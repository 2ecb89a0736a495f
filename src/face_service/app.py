"""create_app: settings in, an ASGI application out. No globals."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from face_service import __version__
from face_service.config import Settings, load_settings
from face_service.engine_factory import load_engine, runtime_config
from face_service.errors import InvalidRequest, RequestError, StartupError
from face_service.http.middleware import (
    REQUEST_ID_HEADER,
    ApiKeys,
    BodyLimit,
    Cors,
    Failures,
    HeadAsGet,
    RequestId,
    RequestTelemetry,
    error_response,
)
from face_service.http.openapi import TAGS, DocumentedApp, operation_id
from face_service.known_packs import known_packs
from face_service.observability.request_record import PROBES, RequestRecord
from face_service.observability.tracing import trace_request
from face_service.routes import compare, detect, health, metrics, models
from face_service.routes.pages import add_pages
from face_service.runtime.threads import available_cpus
from face_service.schemas import ErrorResponse, explain
from face_service.serving.service import FaceService, Limits
from face_service.vision.image import set_up_opencv

logger = logging.getLogger(__name__)

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
OPEN_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/openapi.json"})
"""What needs no key, beside the pages: what an orchestrator asks, and what the documentation is
made of. A browser that opens a page can show no key."""

DESCRIPTION = """An image in, every face out: box, score, 512-d ArcFace embedding, age and gender.

Every error has one shape: `{"detail": "…", "code": "…", "request_id": "…"}`."""


def create_app(
    settings: Settings | None = None,
    on_failure: Callable[[StartupError], None] | None = None,
) -> FastAPI:
    """The application.

    `on_failure` is called if the models cannot be loaded; until then, and without it,
    `/health` says what went wrong.
    """
    settings = settings or load_settings()
    setup = runtime_config(settings)
    service = FaceService(
        lambda: load_engine(settings, setup),
        limits_of(settings),
        progress=lambda: str(setup.progress),
    )

    async def run() -> None:
        try:
            await service.start()
            await service.watch()
        except StartupError as error:
            if on_failure:
                on_failure(error)
            else:
                logger.error("%s", error)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        set_up_opencv()
        warn_if_open(settings)
        # Beside the server, not before it: /health must answer while a pack is downloaded.
        running = asyncio.create_task(run())
        yield
        running.cancel()
        service.close()

    app = DocumentedApp(
        title="Face Recognition Service",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_tags=TAGS,
        generate_unique_id_function=operation_id,
        docs_url=None,  # FastAPI's own pages load their scripts from the internet
        redoc_url=None,
        # A redirect would go to the host and scheme that the client's headers claim, and send
        # its photo and key along.
        redirect_slashes=False,
        servers=[{"url": "."}],  # wherever the document is, behind a prefix as well
        # Traces alone: metrics and log are ours, and a span for every dependency tells nobody
        # anything. They begin where OTEL_EXPORTER_OTLP_ENDPOINT says where to send them.
        telemetry={
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": True,
            "exclude": lambda scope: scope["path"] in PROBES,
        },
        # "default" also keeps FastAPI from promising a 422 that is never sent.
        responses={"default": {"model": ErrorResponse, "description": "Any error"}},
    )
    app.state.settings = settings
    app.state.service = service
    app.state.known_packs = known_packs()
    for routes in (health, detect, compare, models):
        app.include_router(routes.router)
    if settings.metrics:
        app.include_router(metrics.router)
    add_error_handlers(app)
    pages = add_pages(app, settings.demo)
    app.user_middleware[:0] = middleware_of(settings, service, OPEN_PATHS | pages)
    return app


def limits_of(settings: Settings) -> Limits:
    """What the service may hold, by the settings."""
    return Limits(
        lanes=settings.lanes,
        decoders=available_cpus(),
        max_queue=settings.max_queue,
        max_body_bytes=int(settings.max_bodies_mb * 1e6),
        max_pixels=settings.max_image_pixels,
        max_decoded_bytes=int(settings.max_decoded_mb * 1e6),
        stall_timeout=settings.stall_timeout_s,
    )


def warn_if_open(settings: Settings) -> None:
    """Say once that whoever reaches the port may use it, if more than this machine does."""
    if settings.host not in LOOPBACK and not settings.api_keys:
        logger.warning(
            "Listening on %s without API_KEYS: whoever reaches port %d can use this service",
            settings.host,
            settings.port,
        )


def middleware_of(
    settings: Settings, service: FaceService, open_paths: frozenset[str]
) -> list[Middleware]:
    """What wraps every request, from the first that a request meets to the last."""

    def tell(record: RequestRecord) -> None:
        service.metrics.count(record)
        trace_request(record)
        record.log()

    cors = Middleware(
        Cors,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=["Authorization", "Content-Type", "X-API-Key", REQUEST_ID_HEADER],
        expose_headers=[REQUEST_ID_HEADER, "Retry-After", "Server-Timing"],
    )
    keys = Middleware(ApiKeys, hashes=settings.api_keys, open_paths=open_paths)
    return [
        Middleware(RequestId),
        Middleware(HeadAsGet),
        Middleware(RequestTelemetry, tell=tell, closing=lambda: service.draining),
        *([cors] if settings.cors_origins else []),
        Middleware(Failures),
        *([keys] if settings.api_keys else []),
        Middleware(BodyLimit, max_bytes=int(settings.max_body_mb * 1e6)),
    ]


def add_error_handlers(app: FastAPI) -> None:
    """Turn every error, the framework's included, into the one error shape."""

    @app.exception_handler(RequestError)
    async def known(request: Request, error: RequestError) -> JSONResponse:
        return error_response(request.scope, error)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        known_as = RequestError(error.detail)
        known_as.status = error.status_code
        known_as.code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        return error_response(request.scope, known_as, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return error_response(request.scope, InvalidRequest(explain(error.errors(), skip=1)))
