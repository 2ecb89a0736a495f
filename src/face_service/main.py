"""`python -m face_service.main`: reads the settings, has engines load, runs the server."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from typing import Any

from face_service.config import load_settings, setting_warnings
from face_service.engine_factory.loader import EngineLoader
from face_service.errors import StartupError
from face_service.observability.logs import configure_logging
from face_service.observability.stderr import captured_stderr
from face_service.runtime.memory import set_up_malloc
from face_service.serving.decoders import is_decoding
from face_service.serving.threads import LEAST_THREADS, can_start_threads, is_inside_a_network

logger = logging.getLogger("face_service.main")


def main(**overrides: Any) -> int:
    """Read the settings, which `overrides` win over, and serve. Returns the exit status, or ends
    the process with it where a thread is still inside a network or an image.

    Bad settings are a line each on stderr, and status 1; so is a system that allows few threads.
    """
    set_up_malloc()  # before the first thread starts
    try:
        settings = load_settings(**overrides)
    except StartupError as error:
        print(error, file=sys.stderr)
        return 1
    if not can_start_threads(LEAST_THREADS):
        print(
            f"The service cannot start: the system allows it fewer than {LEAST_THREADS} threads "
            "(ulimit -u, or the limit on processes of its container or unit)",
            file=sys.stderr,
        )
        return 1
    with captured_stderr() as stderr:
        configure_logging(settings.log_level, settings.log_format, stderr)
        for sentence in setting_warnings():
            logger.warning("%s", sentence)
        asked: list[int] = []  # to end, before the server takes signals itself
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: asked.append(number))
        engines = EngineLoader(settings)
        engines.begin()
        from face_service.server import serve  # FastAPI and all of HTTP, while the networks load

        gc.freeze()  # what imports made stays: no collection of garbage need go through it
        status = serve(settings, engines, asked)
    if is_inside_a_network() or is_decoding():
        # Its return into a finalised interpreter would abort the process.
        logging.shutdown()
        os._exit(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
