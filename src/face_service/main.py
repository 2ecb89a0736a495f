"""`python -m face_service.main`: reads the settings, builds the application, runs the server."""

from __future__ import annotations

import logging
import os
import sys
from functools import partial
from typing import Any, cast

import uvicorn

from face_service.app import create_app
from face_service.config import Settings, load_settings, setting_warnings
from face_service.errors import StartupError
from face_service.http.lifecycle import Server, affordable_connections
from face_service.http.protocol import BoundedProtocol
from face_service.observability.logs import configure_logging
from face_service.observability.stderr import captured_stderr
from face_service.runtime.memory import limit_malloc_arenas
from face_service.serving.decoders import is_decoding
from face_service.serving.threads import is_inside_a_network

logger = logging.getLogger("face_service.main")

SEND_TIMEOUT_S = 3
"""For responses that are being sent when the process ends. With app.CLOSE_S, and what uvicorn and
Python take, it is less than the 5 s that docs/reliability.md promises."""


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status: 1 if the start failed, else 0."""
    failures: list[StartupError] = []

    def stop(error: StartupError) -> None:
        failures.append(error)
        server.should_exit = True

    app = create_app(settings, on_failure=stop)
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
    server = Server(config, lambda: app.state.service.drain(settings.drain_grace_s))
    try:
        server.run()
    except SystemExit:  # uvicorn's, after it has logged the reason
        failures.append(StartupError(f"port {settings.port} of {settings.host} cannot be had"))
    for failure in failures:  # as the last lines of the log
        logger.error("The service cannot start: %s", failure)
    return 1 if failures or not server.started else 0


def main(**overrides: Any) -> int:
    """Read the settings, which `overrides` win over, and serve. Returns the exit status.

    Bad settings are a line each on stderr, and status 1.
    """
    limit_malloc_arenas()  # before the first thread starts
    try:
        settings = load_settings(**overrides)
    except StartupError as error:
        print(error, file=sys.stderr)
        return 1
    with captured_stderr() as stderr:
        configure_logging(settings.log_level, settings.log_format, stderr)
        for sentence in setting_warnings():
            logger.warning("%s", sentence)
        status = serve(settings)
    if is_inside_a_network() or is_decoding():
        # Its return into a finalised interpreter would abort the process.
        logging.shutdown()
        os._exit(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
