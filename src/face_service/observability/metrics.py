"""What an operator counts, in Prometheus' terms. One registry per application.

docs/metrics.md says what each is good for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from face_service.observability.request_record import RequestRecord

SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75,
    1, 1.5, 2.5, 5, 10, 30,
)  # fmt: skip
"""Close together where an image's time lies: a quantile is as exact as the bucket it falls in."""
FACES = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55)
IMAGES = (1, 2, 4, 8, 16, 32)
WHY_REJECTED = ("overloaded", "starting", "recovering", "failed", "draining")


class Metrics:
    """Counters, histograms and gauges, all named `face_service_…`.

    Every value of a label is there from the beginning where it can be: the first rejection is
    then a step from 0 to 1, which `rate` sees, and no new series, which it does not.
    """

    def __init__(self) -> None:
        # A series beside each other one, which says when it began: nobody asks for that.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = self._counter("requests", "Requests answered.", "endpoint", "status")
        self.duration = self._histogram(
            "request_duration_seconds",
            "From the headers of a request to the last of its answer.",
            SECONDS,
            "endpoint",
            "class",
        )
        self.stages = self._histogram(
            "stage_duration_seconds",
            "Time of a request by stage, as in Server-Timing.",
            SECONDS,
            "stage",
        )
        self.faces = self._histogram("faces_per_image", "Faces returned for an image.", FACES)
        self.images = self._histogram(
            "images_per_turn", "Images that an engine computed at once.", IMAGES
        )
        self.batches = self._histogram(
            "faces_per_turn", "Faces that an engine described at once.", FACES
        )
        self.rejected = self._counter("rejected", "Turned away before the body was read.", "why")
        self.cancelled = self._counter(
            "cancelled", "Given up before there was an answer.", "where", "why"
        )
        self.expired = self._counter("expired", "Given up because the deadline had passed.")
        self.failed = self._counter("failed", "Images that inference failed on.")
        self.engines_lost = self._counter("engines_lost", "Engines given up.", "why")
        self.decoders_lost = self._counter(
            "decoders_lost", "Decode threads that ended, or were given up inside an image.", "why"
        )
        self.out_of_memory = self._counter(
            "out_of_memory", "Images that memory did not suffice for, in halves neither."
        )
        self.connections_refused = self._counter(
            "connections_refused", "Connections closed at once: MAX_CONNECTIONS were open."
        )
        self.limit = self._gauge("requests_inside_limit", "Most requests inside: MAX_QUEUE.")
        self.info = self._gauge(
            "model_info",
            "1 for what computes: pack, recogniser, precision, providers, version.",
            "pack",
            "recogniser",
            "precision",
            "providers",
            "version",
        )
        for counter, values in (
            (self.rejected, WHY_REJECTED),
            (self.engines_lost, ("broken", "stalled")),
            (self.decoders_lost, ("ended", "stalled")),
        ):
            for value in values:
                counter.labels(value)
        for where in ("waiting", "decoding", "computing"):
            for why in ("client", "deadline"):
                self.cancelled.labels(where, why)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"face_service_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"face_service_{name}", text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            f"face_service_{name}", text, labels, buckets=buckets, registry=self.registry
        )

    def watch(self, **values: Callable[[], float]) -> None:
        """Show values as gauges; each is asked for when somebody looks."""
        for name, value in values.items():
            self._gauge(*GAUGES[name]).set_function(value)

    def describe(self, **labels: str) -> None:
        """Say what computes now; what computed before is forgotten."""
        self.info.clear()
        self.info.labels(**labels).set(1)

    def count(self, record: RequestRecord) -> None:
        """Count a request that has its answer."""
        self.requests.labels(record.endpoint, record.status).inc()
        kind = f"{record.status // 100}xx"
        self.duration.labels(record.endpoint, kind).observe(record.seconds)
        self.observe(record.times, record.faces)

    def observe(self, stages: Mapping[str, float], faces: Iterable[int]) -> None:
        """Milliseconds by stage, faces by image."""
        for stage, milliseconds in stages.items():
            self.stages.labels(stage).observe(milliseconds / 1e3)
        for count in faces:
            self.faces.observe(count)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


GAUGES = {
    "inside": ("requests_inside", "Requests being read, waiting or computed."),
    "queued": ("queue_depth", "Requests that wait for an engine."),
    "bodies": ("body_bytes", "Bytes of bodies that requests inside hold or may still send."),
    "decoded": ("decoded_bytes", "Memory that decoding takes, in bytes."),
    "lanes": ("engines", "Engines that work."),
    "decoders": ("decoders", "Decode threads that work."),
    "fallback": (
        "provider_fallback",
        "1 where the execution provider that was asked for does not compute.",
    ),
    "ready": ("ready", "1 where a request sent now is answered."),
}
