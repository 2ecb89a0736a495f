"""The face service on Ray Serve: serve run examples.ray_serve.service:app

README.md says when, and what is not as it is without Ray.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from ray import serve

from face_service.app import create_app
from face_service.config import load_settings
from face_service.errors import StartupError

CPUS = int(os.environ.get("FACE_SERVICE_CPUS", "2"))
"""Whole cores of a replica. Ray does not limit threads by num_cpus: the setting does."""


@serve.deployment(
    # More than MAX_QUEUE, and no queue of Ray's: the service's own 429, with Retry-After, decides.
    max_ongoing_requests=1000,
    max_queued_requests=-1,
    ray_actor_options={
        "num_cpus": CPUS,
        "runtime_env": {"env_vars": {"INTRA_OP_THREADS": str(CPUS)}},
    },
    health_check_period_s=5,
    graceful_shutdown_timeout_s=40,  # REQUEST_TIMEOUT_S and 10 s
)
@serve.ingress()
class FaceServiceReplica:
    """A replica that is there once its models are warm, and ends where they cannot be had."""

    async def __init__(self) -> None:
        self._failure: StartupError | None = None
        self._app = create_app(load_settings(), on_failure=self._fail)
        self._lifespan = self._app.router.lifespan_context(self._app)
        await self._lifespan.__aenter__()
        while self._app.state.service.status != "healthy":
            self.check_health()
            await asyncio.sleep(0.1)

    def _fail(self, error: StartupError) -> None:
        self._failure = error

    def check_health(self) -> None:
        """Raises where only another replica helps."""
        if failure := self._failure or self._app.state.service.failure:
            raise RuntimeError(str(failure))

    def __serve_build_asgi_app__(self) -> Any:
        """The application, whose lifespan has begun already."""

        async def requests(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "lifespan":
                await self._app(scope, receive, send)
                return
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await self._lifespan.__aexit__(None, None, None)
            await send({"type": "lifespan.shutdown.complete"})

        return requests


app = FaceServiceReplica.bind()
