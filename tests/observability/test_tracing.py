"""Traces: a span for the request, one for each stage, and nothing at all where nobody asks."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from face_service.packs.pack import Pack
from tests.server import Server
from tests.wire import in_this_loop, settled

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SAMPLED = {"traceparent": f"00-{TRACE_ID}-{PARENT}-01"}
STAGES = ["decode", "queue", "detect", "align", "quality", "embed", "attributes", "serialise"]

Ask = Callable[[httpx.AsyncClient], Any]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What is exported, in this process, as long as the test lasts."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return exporter


def asked(starter: Pack, *asks: Ask) -> list[httpx.Response]:
    """The answers of an application in this process, ready, to each request in turn."""

    async def run() -> list[httpx.Response]:
        async with in_this_loop(starter) as http:
            return [await ask(http) for ask in asks]

    return asyncio.run(run())


def test_a_request_has_a_span_with_its_stages(
    spans: InMemorySpanExporter, starter: Pack, six_faces: Path
) -> None:
    photo = six_faces.read_bytes()
    (answer,) = asked(
        starter,
        lambda http: http.post(
            "/detect?min_score=0.6",
            files={"file": ("secret.jpg", photo)},
            headers={**SAMPLED, "X-Request-ID": "frame-17"},
        ),
    )
    assert answer.status_code == 200
    faces = len(answer.json()["faces"])
    *children, request = spans.get_finished_spans()

    assert (request.name, request.kind) == ("POST /detect", SpanKind.SERVER)
    assert f"{request.context.trace_id:032x}" == TRACE_ID
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == PARENT
    seen = {
        "face_service.images": 1,
        "face_service.faces": faces,
        "face_service.pack": "starter",
        "face_service.image.width": 1280,
        "face_service.image.height": 886,
    }
    told = {
        **seen,
        "face_service.request_id": "frame-17",
        "http.request.method": "POST",
        "http.route": "/detect",
        "http.response.status_code": 200,
        "url.path": "/detect",
        "url.query": "",
    }
    assert told.items() <= dict(request.attributes or {}).items()

    assert [child.name for child in children] == STAGES
    for child in children:
        assert child.parent is not None
        assert child.parent.span_id == request.context.span_id
        assert child.context.trace_id == request.context.trace_id
        assert dict(child.attributes or {}) == seen
        assert times(request)[0] <= times(child)[0] <= times(child)[1] <= times(request)[1]
    by_name = {child.name: times(child) for child in children}
    assert by_name["decode"][1] <= by_name["queue"][0]
    assert by_name["detect"][1] <= by_name["align"][0] <= by_name["embed"][0]
    timing = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers["server-timing"]))
    for name in STAGES:
        started, ended = by_name[name]
        assert (ended - started) / 1e6 == pytest.approx(float(timing[name]), abs=0.02)


def times(span: ReadableSpan) -> tuple[int, int]:
    """When a span began and ended, in nanoseconds."""
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time, span.end_time


def test_a_refusal_is_traced_and_no_failure(spans: InMemorySpanExporter, starter: Pack) -> None:
    refused, missing = asked(
        starter,
        lambda http: http.post("/detect", files={"file": b"no image"}),
        lambda http: http.get("/grandmother?name=1953"),
    )
    assert (refused.status_code, missing.status_code) == (400, 404)
    first, second = spans.get_finished_spans()
    assert first.attributes is not None
    assert first.attributes["face_service.code"] == "invalid_image"
    assert first.status.status_code == StatusCode.UNSET
    assert second.attributes is not None
    told = {str(value) for value in second.attributes.values()}
    assert not [value for value in told if "grandmother" in value or "1953" in value]


def test_what_is_not_sampled_and_what_probes_ask_leaves_no_trace(
    spans: InMemorySpanExporter, starter: Pack, six_faces: Path
) -> None:
    photo = six_faces.read_bytes()
    unsampled = {"traceparent": f"00-{TRACE_ID}-{PARENT}-00"}
    answers = asked(
        starter,
        lambda http: http.post("/detect", files={"file": photo}, headers=unsampled),
        lambda http: http.get("/health", headers=SAMPLED),
        lambda http: http.get("/metrics", headers=SAMPLED),
    )
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert spans.get_finished_spans() == ()


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """An OpenTelemetry collector: its address, and what it was sent."""
    received: list[ExportTraceServiceRequest] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_collector_is_sent_the_trace_and_the_log_names_it(
    start_server: Callable[..., Server],
    collector: tuple[str, list[ExportTraceServiceRequest]],
    six_faces: Path,
) -> None:
    url, received = collector
    server = start_server(
        OTEL_EXPORTER_OTLP_ENDPOINT=url,
        OTEL_SERVICE_NAME="faces-of-the-archive",
        OTEL_BSP_SCHEDULE_DELAY="100",
        DRAIN_GRACE_S="0",
    )
    server.wait_until_ready()
    server.client.post("/detect", files={"file": six_faces.read_bytes()}, headers=SAMPLED)
    settled(lambda: bool(received))
    server.stop()
    (resource,) = {
        attribute.value.string_value
        for request in received
        for part in request.resource_spans
        for attribute in part.resource.attributes
        if attribute.key == "service.name"
    }
    assert resource == "faces-of-the-archive"
    spans = [
        span
        for request in received
        for part in request.resource_spans
        for scope in part.scope_spans
        for span in scope.spans
    ]
    assert {span.name for span in spans} == {"POST /detect", *STAGES}
    assert {span.trace_id.hex() for span in spans} == {TRACE_ID}
    (line,) = (line for line in server.log().splitlines() if "Detected" in line)
    (request,) = (span for span in spans if span.name == "POST /detect")
    assert f" trace_id={TRACE_ID} span_id={request.span_id.hex()}" in line


WITHOUT_THE_SDK = """
import sys
sys.modules["opentelemetry.sdk.trace"] = None
from face_service.main import main
sys.exit(main())
"""


def test_without_the_extra_the_service_says_so_and_serves(
    start_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "without_the_sdk.py").write_text(WITHOUT_THE_SDK)
    server = start_server(
        "without_the_sdk",
        PYTHONPATH=str(tmp_path),
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        DRAIN_GRACE_S="0",
    )
    server.wait_until_ready()
    assert server.client.get("/models").status_code == 200
    server.stop()
    (line,) = (line for line in server.log().splitlines() if "OpenTelemetry" in line)
    assert " - WARNING - " in line
    assert "fastapi[opentelemetry]" in line


ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        (ENDPOINT, True),
    ],
)
def test_nothing_is_imported_where_nobody_asks(variables: dict[str, str], wanted: bool) -> None:
    script = """
import asyncio, os, sys
from face_service.app import create_app

async def start():
    async def receive():
        return {"type": "lifespan.startup"}

    async def send(message):
        print(message["type"], *(name for name in sys.modules if name.startswith("opentelemetry")))
        sys.stdout.flush()
        os._exit(0)

    await create_app()({"type": "lifespan", "asgi": {}, "state": {}}, receive, send)

asyncio.run(start())
"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "INSIGHTFACE_MODEL": "./none", **variables},
    )
    started, *imported = run.stdout.split()
    assert started == "lifespan.startup.complete", run.stderr
    assert "opentelemetry.trace" in imported, "the interface, which FastAPI brings"
    parts = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto")
    assert any(name.startswith(parts) for name in imported) is wanted
