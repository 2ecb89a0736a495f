"""What watching costs: CPU time of the server for a request, by what is logged and traced.

    .venv/bin/python -m benchmarks.studies.signals [--requests 3000] [--rounds 5]
        [--before CHECKOUT/src]

The requests are those that cost nothing else: a probe, and one that a full queue turns away.
`--before`: another version of the service, measured beside this one, in turn. Then the CPU time
to make a line of the log, and to count and trace a request, in this process.
"""

from __future__ import annotations

import argparse
import logging
import socket
import statistics
import time
from collections.abc import Callable

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from structlog.contextvars import bind_contextvars

from face_service.observability.logs import formatter
from face_service.observability.metrics import Metrics
from face_service.observability.request_record import RequestRecord
from face_service.observability.tracing import trace_request
from face_service.runtime.processor import in_words, processor
from face_service.tools.bench.client import Client
from face_service.tools.bench.server import Address, cpu_seconds, running

SETTINGS = {
    "ERROR, console": {"LOG_LEVEL": "ERROR"},
    "INFO, console": {"LOG_LEVEL": "INFO"},
    "INFO, json": {"LOG_LEVEL": "INFO", "LOG_FORMAT": "json"},
    "DEBUG, console": {"LOG_LEVEL": "DEBUG"},
}
PROBE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /detect HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
REQUESTS = {"probe, 200": PROBE, "queue full, 429": POST % 1 + b"x"}


def server_cost(server: Address, request: bytes, count: int) -> float:
    """Microseconds of CPU that the server takes for one of `count` requests in turn."""
    assert server.process
    client = Client(server.host, server.port)
    client.send(request)
    before = cpu_seconds(server.process.pid)
    for _ in range(count):
        client.send(request)
    after = cpu_seconds(server.process.pid)
    client.close()
    assert before is not None and after is not None
    return (after - before) / count * 1e6


def serve(count: int, rounds: int, before: str | None) -> None:
    """Print what a request costs a server, under every setting, in turn."""
    costs: dict[tuple[str, str], list[float]] = {}
    settings = dict(SETTINGS)
    if before:
        for level in ("ERROR", "INFO"):
            settings[f"{level}, before"] = {"LOG_LEVEL": level, "PYTHONPATH": before}
    for _ in range(rounds):
        for setting, variables in settings.items():
            base = {"INSIGHTFACE_MODEL": "starter", "MAX_QUEUE": "1", "REQUEST_TIMEOUT_S": "600"}
            with (
                running({**base, **variables}) as server,
                socket.create_connection((server.host, server.port)) as inside,
            ):
                inside.sendall(POST % 1000)  # the one request there is room for
                time.sleep(0.1)
                for kind, request in REQUESTS.items():
                    spent = server_cost(server, request, count)
                    costs.setdefault((kind, setting), []).append(spent)
    print("| µs of CPU a request | " + " | ".join(settings) + " |")
    print("|---|" + "---|" * len(settings))
    for kind in REQUESTS:
        cells = (f"{statistics.median(costs[kind, setting]):.0f}" for setting in settings)
        print(f"| {kind} | " + " | ".join(cells) + " |")


def cost(call: Callable[[], object], count: int) -> float:
    """Microseconds of CPU for a call."""
    before = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - before) / count * 1e6


def answered() -> RequestRecord:
    """A request whose image had two faces."""
    record = RequestRecord("a" * 32, "POST", pack="starter", faces=[2], sizes=[(1920, 1080)])
    record.set_message("face_service.routes.detect", "Detected 2 faces in 45.23ms")
    for stage in ("decode", "queue", "detect", "align", "embed", "attributes", "serialise"):
        record.times.add(stage, 0.0, 0.0123)
    record.end("/detect", 200)
    return record


def line(form: logging.Formatter, record: RequestRecord) -> str:
    """The line of a request."""
    words = logging.LogRecord(record.logger, logging.INFO, "", 0, record.message, (), None)
    words.fields = record.fields()
    return form.format(words)


def compute(count: int) -> None:
    """Print what the parts cost."""
    record, metrics = answered(), Metrics()
    bind_contextvars(request_id=record.request_id)
    tracer = TracerProvider().get_tracer("benchmark")
    plain = logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s")
    print("| µs of CPU | |\n|---|---|")
    for name, form in (
        ("a line without fields, standard library", plain),
        ("a line, console", formatter("console")),
        ("a line, json", formatter("json")),
    ):
        print(f"| {name} | {cost(lambda form=form: line(form, record), count):.1f} |")
    print(f"| counting a request | {cost(lambda: metrics.count(record), count):.1f} |")
    print(f"| tracing a request, off | {cost(lambda: trace_request(record), count):.1f} |")
    trace.set_tracer_provider(TracerProvider())
    with tracer.start_as_current_span("POST /detect"):
        print(f"| tracing a request, on | {cost(lambda: trace_request(record), count):.1f} |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--before")
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    serve(arguments.requests, arguments.rounds, arguments.before)
    print()
    compute(arguments.requests)


if __name__ == "__main__":
    main()
