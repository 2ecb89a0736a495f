"""The server: the application behind its protocol, until it is told to end."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import cast

import uvicorn

from face_service.app import create_app
from face_service.config import Settings
from face_service.engine_factory.loader import EngineLoader
from face_service.errors import StartupError
from face_service.http.lifecycle import Server, affordable_connections
from face_service.http.protocol import BoundedProtocol

logger = logging.getLogger("face_service.main")  # the name that the log is documented with

SEND_TIMEOUT_S = 3
"""Seconds for responses that are still being sent at the end. With app.CLOSE_S, and what uvicorn
and Python take, it is less than the 5 s that docs/reliability.md promises."""


def serve(settings: Settings, engines: EngineLoader, asked: Sequence[int] = ()) -> int:
    """Serve until SIGTERM or SIGINT, on `engines` of these settings. Returns the exit status: 1 if
    the start failed, else 0. asked: signals that came before; where there is one, draining
    begins right after the start."""
    failures: list[StartupError] = []

    def stop(error: StartupError) -> None:
        failures.append(error)
        server.should_exit = True

    app = create_app(settings, stop, engines)
    max_connections = affordable_connections(settings.max_connections)

    def refused() -> None:
        app.state.service.metrics.connections_refused.inc()
        logger.warning(
            "A connection was refused: %d are open, the most there may be (MAX_CONNECTIONS)",
            max_connections,
            extra={"kind": {"code": "too_many_connections"}},
        )

    protocol = partial(
        BoundedProtocol,
        max_connections=max_connections,
        on_refused=refused,
        hold_answer=app.state.service.admission.hold_answer,
    )
    config = uvicorn.Config(
        app,
        http=cast(type[BoundedProtocol], protocol),
        ws="none",
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SEND_TIMEOUT_S,
    )
    server = Server(config, lambda: app.state.service.drain(settings.drain_grace_s), asked)
    try:
        server.run()
    except SystemExit:  # uvicorn's, after it has logged the reason
        failures.append(StartupError(f"port {settings.port} of {settings.host} cannot be had"))
    for failure in failures:  # as the last lines of the log
        logger.error("The service cannot start: %s", failure)
    return 1 if failures or not server.started else 0
