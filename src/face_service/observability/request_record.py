"""The record of a request, of which its log line, metrics and trace are made.

It holds no data that a caller sent, and nothing of a face but how many there are.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any

from face_service.observability.timing import StageTimes

UNKNOWN_ENDPOINT = "other"
"""Endpoint of requests without a route: paths that clients make up must not become labels."""
PROBES = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})
"""Endpoints that are polled: their successes are logged at DEBUG and not traced."""
CLIENT_GONE = 499
"""nginx's status for a client that closed the connection before the response; never sent."""

LOGGER = "face_service.request"
"""Logger name of requests whose handler set no message, and of those that failed."""


@dataclass(slots=True, eq=False)
class RequestRecord:
    """One request; middleware and handlers fill it in.

    `started`: seconds on time.perf_counter(). `times`: milliseconds by stage. `endpoint`: path of
    the route (`/detect`). `status`: the HTTP status, or CLIENT_GONE. `code`: of its error, if it
    failed. `error`: an exception that nothing handled. `bytes_in`, `bytes_out`: of the bodies.
    `seconds`: from `started` to the last chunk of the response. `ended`: whether `end` was called.
    `pack`: model pack that answered. `faces`, `sizes`: number of faces, and (width, height) in
    pixels, by image. `logger`, `message`: of the log line, where a handler has set them.
    """

    request_id: str
    method: str
    started: float = field(default_factory=time.perf_counter)
    times: StageTimes = field(default_factory=StageTimes)
    endpoint: str = UNKNOWN_ENDPOINT
    status: int = 500
    code: str | None = None
    error: Exception | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    ended: bool = False
    pack: str | None = None
    faces: list[int] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    logger: str = LOGGER
    message: str | None = None

    def set_message(self, logger: str, message: str) -> None:
        """Set logger name and message of the log line, used if the status is below 400."""
        self.logger, self.message = logger, message

    def end(self, endpoint: str, status: int) -> bool:
        """Complete the record, before the last chunk is sent. False if it was complete already."""
        if self.ended:
            return False
        self.ended, self.seconds = True, time.perf_counter() - self.started
        self.endpoint, self.status = endpoint, status
        return True

    def log(self) -> None:
        """Write the log line of a record that has ended.

        Its level is DEBUG for PROBES that succeed, INFO for others below 500 and for a probe's
        503, ERROR for a 500, WARNING for a 503 or 504.
        """
        succeeded = self.status < 400
        logger, level = logging.getLogger(self.logger if succeeded else LOGGER), self._level()
        if not logger.isEnabledFor(level):
            return
        extra: dict[str, Any] = {"fields": self.fields()}
        if not self.times and self.status not in (500, 504):
            # Rate-limited: no engine bounds how many of these there are.
            extra["kind"] = {"endpoint": self.endpoint, "status": self.status}
        message = self.message if succeeded and self.message else self._outcome()
        logger.log(level, message, extra=extra, exc_info=self.error)

    def _level(self) -> int:
        if self.endpoint in PROBES and self.status < 400:
            return logging.DEBUG
        if self.status < 500 or (self.endpoint in PROBES and self.status == 503):
            return logging.INFO  # a probe asks whether it is a 503
        return logging.ERROR if self.status == 500 else logging.WARNING

    def fields(self) -> dict[str, Any]:
        """The fields of the log line, without those that are None. Times in milliseconds.

        Without the request id, which every line has (`http/request_id.py`).
        """
        fields: dict[str, Any] = {
            "method": self.method,
            "endpoint": self.endpoint,
            "status": self.status,
            "code": self.code,
            "duration_ms": round(self.seconds * 1e3, 2),
            "images": len(self.faces) or None,
            "faces": sum(self.faces) if self.faces else None,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            **{f"{stage}_ms": round(ms, 2) for stage, ms in self.times.items()},
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _outcome(self) -> str:
        if self.status < 400 or (self.endpoint in PROBES and self.status == 503):
            return "Answered"
        if self.status == CLIENT_GONE:
            return "Client gone"
        return "Refused" if self.status < 500 or self.status == 503 else "Failed"
