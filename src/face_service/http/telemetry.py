"""Middleware: metrics, trace and log line of every request, and the header Server-Timing."""

from __future__ import annotations

from collections.abc import Callable

from fastapi.telemetry import TelemetryConfig
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from face_service.observability.request_record import PROBES, UNKNOWN_ENDPOINT, RequestRecord
from face_service.observability.timing import StageTimes

TRACES: TelemetryConfig = {
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": True,
    "exclude": lambda scope: scope["path"] in PROBES,
}
"""FastAPI's telemetry: traces alone, without a span for every dependency, because metrics and log
are this service's. Active where OTEL_EXPORTER_OTLP_ENDPOINT is set."""


class RequestTelemetry:
    """Calls `on_complete(record)` once per request, just before the last body chunk is sent.

    A response that ends without its last chunk counts as a 500. Adds the header Server-Timing.
    """

    def __init__(self, app: ASGIApp, on_complete: Callable[[RequestRecord], None]) -> None:
        self.app = app
        self.on_complete = on_complete

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        record: RequestRecord = scope["state"]["record"]
        status: int | None = None

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if record.times:
                    MutableHeaders(scope=message)["Server-Timing"] = server_timing(record.times)
            else:
                if record.method != "HEAD":
                    record.bytes_out += len(message.get("body", b""))
                if not message.get("more_body"):  # counted before the client has the response
                    self._complete(record, scope, status)
            await send(message)

        try:
            await self.app(scope, receive, send_observed)
        finally:
            self._complete(record, scope, None)

    def _complete(self, record: RequestRecord, scope: Scope, status: int | None) -> None:
        endpoint = getattr(scope.get("route"), "path", UNKNOWN_ENDPOINT)
        if record.end(endpoint, status or 500):
            self.on_complete(record)


def server_timing(times: StageTimes) -> str:
    """The stages as the value of a Server-Timing header, in milliseconds."""
    return ", ".join(f"{stage};dur={ms:.2f}" for stage, ms in times.items())
