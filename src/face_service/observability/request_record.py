"""What is told of a request once it has its answer: one line of the log, counts, and a trace.

Numbers and words of this service alone: never what a caller sent, and never a face.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any

from face_service.observability.timing import StageTimes

UNKNOWN_ENDPOINT = "other"
"""For a path that is none of ours: what clients make up must not become labels."""
PROBES = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})
"""What is asked every few seconds, for ever: a success there is logged at DEBUG and not traced."""
CLIENT_GONE = 499
"""nginx's number for a client that closed the connection; nobody is there to read it."""

LOGGER = "face_service.request"
"""Whose line it is where no handler has anything to say."""


@dataclass(slots=True, eq=False)
class RequestRecord:
    """One request, filled in on its way.

    `times`: its stages. `code`: of its error. `pack`: what answered. `faces` and `sizes`: how
    many, and width and height in pixels, by image. `logger` and `words`: whose line it is and
    what that says, where a handler has something to say.
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
    words: str | None = None

    def set_message(self, logger: str, words: str) -> None:
        """What the line of this request says, if it succeeds."""
        self.logger, self.words = logger, words

    def end(self, endpoint: str, status: int) -> bool:
        """The last of the answer is on its way. False if it was before."""
        if self.ended:
            return False
        self.ended, self.seconds = True, time.perf_counter() - self.started
        self.endpoint, self.status = endpoint, status
        return True

    def log(self) -> None:
        """Write the line."""
        succeeded = self.status < 400
        logger, level = logging.getLogger(self.logger if succeeded else LOGGER), self._level()
        if not logger.isEnabledFor(level):
            return
        extra: dict[str, Any] = {"fields": self.fields()}
        if not self.times and self.status not in (500, 504):
            # No engine limits how many of these there may be.
            extra["kind"] = {"endpoint": self.endpoint, "status": self.status}
        words = self.words if succeeded and self.words else self._outcome()
        logger.log(level, words, extra=extra, exc_info=self.error)

    def _level(self) -> int:
        if self.endpoint in PROBES and self.status < 400:
            return logging.DEBUG
        if self.endpoint in PROBES or self.status < 500:  # 503 is what a probe asks for
            return logging.INFO
        return logging.ERROR if self.status == 500 else logging.WARNING

    def fields(self) -> dict[str, Any]:
        """What the line shows beside its words; the request id is on every line anyway."""
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
