"""The middleware of the application, top to bottom."""

from __future__ import annotations

from starlette.middleware import Middleware

from face_service.config import Settings
from face_service.http.api_keys import ApiKeys
from face_service.http.body_limit import BodyLimit
from face_service.http.cors import Cors
from face_service.http.errors import Failures
from face_service.http.head import HeadAsGet
from face_service.http.request_id import REQUEST_ID_HEADER, RequestId
from face_service.http.response_headers import ResponseHeaders
from face_service.http.telemetry import RequestTelemetry
from face_service.observability.request_record import RequestRecord
from face_service.observability.tracing import trace_request
from face_service.serving.service import FaceService


def middleware_stack(
    settings: Settings, service: FaceService, open_paths: frozenset[str]
) -> list[Middleware]:
    """What wraps every request, outermost first. `open_paths` need no API key."""

    def record_request(record: RequestRecord) -> None:
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
        Middleware(RequestTelemetry, on_complete=record_request),
        Middleware(ResponseHeaders, is_draining=lambda: service.draining),
        *([cors] if settings.cors_origins else []),
        Middleware(Failures),
        *([keys] if settings.api_keys else []),
        Middleware(BodyLimit, max_bytes=settings.max_body_bytes),
    ]
