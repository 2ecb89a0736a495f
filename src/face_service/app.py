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

from face_service import __version__
from face_service.assembly import known_packs, load_engine
from face_service.config import Settings, load_settings
from face_service.errors import RequestError, StartupError
from face_service.middleware import BodyLimit, RequestId
from face_service.routes import detect, health, models
from face_service.runtime.threads import available_cpus
from face_service.schemas import ErrorResponse, explain
from face_service.serving.service import FaceService
from face_service.vision.image import silence_decoders

logger = logging.getLogger(__name__)

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
    service = FaceService(
        load=lambda: load_engine(settings),
        lanes=settings.lanes,
        max_pixels=settings.max_image_pixels,
        decoders=available_cpus(),
    )

    async def start() -> None:
        try:
            await service.start()
        except StartupError as error:
            if on_failure:
                on_failure(error)
            else:
                logger.error("%s", error)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        silence_decoders()
        # Beside the server, not before it: /health must answer while a pack is downloaded.
        starting = asyncio.create_task(start())
        yield
        starting.cancel()
        service.close()

    app = FastAPI(
        title="Face Recognition Service",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        # "default" also keeps FastAPI from promising a 422 that is never sent.
        responses={"default": {"model": ErrorResponse, "description": "Any error"}},
    )
    app.state.settings = settings
    app.state.service = service
    app.state.known_packs = known_packs()
    for routes in (health, detect, models):
        app.include_router(routes.router)
    add_error_handlers(app)
    app.add_middleware(BodyLimit, max_bytes=int(settings.max_body_mb * 1e6))
    app.add_middleware(RequestId)
    return app


def add_error_handlers(app: FastAPI) -> None:
    """Turn every error, the framework's included, into the one error shape."""

    @app.exception_handler(RequestError)
    async def known(request: Request, error: RequestError) -> JSONResponse:
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
        return error_response(request, error.status, error.code, str(error), headers)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        return error_response(
            request, error.status_code, code, error.detail, dict(error.headers or {})
        )

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return error_response(request, 400, "invalid_request", explain(error.errors(), skip=1), {})

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> JSONResponse:
        return error_response(
            request, 500, "internal_error", "The service failed on this request", {}
        )


def error_response(
    request: Request, status: int, code: str, detail: str, headers: dict[str, str]
) -> JSONResponse:
    """`{"detail", "code", "request_id"}`."""
    request_id = request.state.request_id
    return JSONResponse({"detail": detail, "code": code, "request_id": request_id}, status, headers)
