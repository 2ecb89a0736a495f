"""create_app: builds the ASGI application from settings. There is no global application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from face_service import __version__
from face_service.config import Settings, load_settings
from face_service.engine_factory.loader import EngineLoader
from face_service.errors import StartupError
from face_service.http.errors import add_error_handlers
from face_service.http.middleware import middleware_stack
from face_service.http.openapi import TAGS, DocumentedApp, operation_id
from face_service.http.telemetry import TRACES
from face_service.packs.catalog import CATALOG
from face_service.routes import compare, detect, embed, group, health, metrics, models
from face_service.routes.pages import Pages
from face_service.schemas import ErrorResponse, ModelFileOut, PackOut, threshold_fields
from face_service.serving.service import FaceService, Limits
from face_service.serving.threads import run_in_daemon_thread

logger = logging.getLogger(__name__)

CLOSE_S = 1.0
"""Seconds that the end waits for networks that still run; every request is answered by then. After
that a thread that is inside a network is left there, and `main` ends the process by os._exit."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
OPEN_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/openapi.json"})
"""Paths that need no API key, beside those of the pages: the probes of orchestrators, and what
the documentation pages load; a browser that opens a page sends no key."""

DESCRIPTION = """An image in, every face out: box, score, 512-d ArcFace embedding, age and gender.

Every error has one shape: `{"detail": "…", "code": "…", "request_id": "…"}`."""


def create_app(
    settings: Settings | None = None,
    on_failure: Callable[[StartupError], None] | None = None,
    engines: EngineLoader | None = None,
) -> FastAPI:
    """Build the application. `settings`: by default those of the environment and `.env`. `engines`:
    of these settings; it may have begun to load.

    Models are loaded in the background once the server runs; until then requests get a 503.
    `on_failure` is called with the error if that fails; by default the error is logged. In both
    cases `/health` reports it as `detail`. Raises StartupError where it reads the settings itself
    and they are bad.
    """
    settings = settings or load_settings()
    loader = engines or EngineLoader(settings)
    service = FaceService(
        loader.load,
        Limits.of(settings),
        progress=lambda: str(loader.progress),
        gate=lambda: loader.gates.status,
    )

    async def run() -> None:
        try:
            await service.start()
            make_gate = partial(loader.gates.make, lambda: service.engines)
            await asyncio.gather(run_in_daemon_thread(make_gate), service.watch())
        except StartupError as error:
            if on_failure:
                on_failure(error)
            else:
                logger.error("%s", error)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        warn_if_open(settings)
        # In the background: /health has to answer while a pack is downloaded.
        running = asyncio.create_task(run())
        yield
        running.cancel()
        service.close(CLOSE_S)

    pages = Pages(settings.demo)
    app = DocumentedApp(
        title="Face Recognition Service",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        middleware=middleware_stack(settings, service, OPEN_PATHS | pages.paths),
        openapi_tags=TAGS,
        generate_unique_id_function=operation_id,
        docs_url=None,  # FastAPI's own pages load their scripts from the internet
        redoc_url=None,
        # A redirect would go to the host and scheme that the client's headers claim, and send
        # its photo and key along.
        redirect_slashes=False,
        servers=[{"url": "."}],  # wherever the document is, behind a prefix as well
        telemetry=TRACES,
        # "default" also keeps FastAPI from promising a 422 that is never sent.
        responses={"default": {"model": ErrorResponse, "description": "Any error"}},
    )
    app.state.settings = settings
    app.state.service = service
    app.state.known_packs = known_packs()
    for routes in (health, detect, embed, compare, group, models):
        app.include_router(routes.router)
    if settings.metrics:
        app.include_router(metrics.router)
    add_error_handlers(app)
    pages.add_to(app)
    return app


def warn_if_open(settings: Settings) -> None:
    """Log a warning where HOST is more than the loopback interface and API_KEYS is not set."""
    if settings.host not in LOOPBACK and not settings.api_keys:
        logger.warning(
            "Listening on %s without API_KEYS: whoever reaches port %d can use this service",
            settings.host,
            settings.port,
        )


def known_packs() -> list[PackOut]:
    """Every pack that INSIGHTFACE_MODEL may name, in the order of the catalogue."""
    return [
        PackOut(
            name=pack.name,
            licence=pack.licence,
            embedding_dimension=pack.dimension,
            **threshold_fields(pack.threshold, pack.operating_points),
            files=[
                ModelFileOut(
                    role=file.role,
                    file=file.name,
                    sha256=file.sha256,
                    licence=file.licence,
                )
                for file in pack.files
            ],
        )
        for pack in CATALOG.values()
    ]
