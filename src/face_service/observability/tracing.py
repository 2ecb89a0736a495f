"""Traces: a request's record as attributes and children of the span that FastAPI began for it.

FastAPI depends on OpenTelemetry's API, and sets up its SDK where OTEL_EXPORTER_OTLP_ENDPOINT is set
and the extra `otel` is installed. Otherwise nothing is recorded.
"""

from __future__ import annotations

import time
from typing import Any

from opentelemetry import trace
from structlog.typing import EventDict

from face_service import __version__
from face_service.observability.request_record import RequestRecord


def trace_request(record: RequestRecord) -> None:
    """Set the attributes of the current span, and add a child span for every run of a stage.

    record: one that has ended. Does nothing where the request is not traced. The span's path, which
    a caller chose, is overwritten by the endpoint, its query by "".
    """
    span = trace.get_current_span()
    if not span.is_recording():
        return
    seen = attributes_of(record)
    span.set_attributes({**seen, "face_service.request_id": record.request_id})
    span.set_attributes({"url.path": record.endpoint, "url.query": ""})
    if record.code:
        span.set_attribute("face_service.code", record.code)
    tracer = trace.get_tracer("face_service", __version__)
    epoch = time.time() - time.perf_counter()
    for stage, started, ended in record.times.intervals:
        child = tracer.start_span(stage, start_time=nanoseconds(epoch + started), attributes=seen)
        child.end(nanoseconds(epoch + ended))


def attributes_of(record: RequestRecord) -> dict[str, Any]:
    """Attributes of a request's spans: number of images and of faces, pack if known, and the size
    in pixels of a single image. Empty where no image was analysed."""
    if not record.faces:
        return {}
    seen: dict[str, Any] = {
        "face_service.images": len(record.faces),
        "face_service.faces": sum(record.faces),
    }
    if record.pack:
        seen["face_service.pack"] = record.pack
    if len(record.sizes) == 1:
        ((seen["face_service.image.width"], seen["face_service.image.height"]),) = record.sizes
    return seen


def nanoseconds(seconds: float) -> int:
    """Seconds as whole nanoseconds, OpenTelemetry's unit."""
    return int(seconds * 1e9)


def add_trace_id(_: Any, __: str, event: EventDict) -> EventDict:
    """A processor of structlog: add `trace_id` and `span_id` of the current span to a log line."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event
