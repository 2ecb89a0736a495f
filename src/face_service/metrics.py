"""What an operator counts, in Prometheus' terms. One registry per application."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
FACES = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55)
IMAGES = (1, 2, 4, 8, 16, 32)
UNKNOWN_PATH = "other"
"""The endpoint of a request that met none: paths that clients make up must not become labels."""


class Metrics:
    """Counters, histograms and gauges, all named `face_service_…`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = self._counter("requests", "Requests answered.", "endpoint", "status")
        self.duration = Histogram(
            "face_service_request_duration_seconds",
            "From the first byte of a request to the last of its answer.",
            ["endpoint"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.stages = Histogram(
            "face_service_stage_duration_seconds",
            "Time of a request by stage, as in Server-Timing.",
            ["stage"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.faces = Histogram(
            "face_service_faces_per_image",
            "Faces returned for an image.",
            buckets=FACES,
            registry=self.registry,
        )
        self.images = Histogram(
            "face_service_images_per_turn",
            "Images that an engine computed at once.",
            buckets=IMAGES,
            registry=self.registry,
        )
        self.rejected = self._counter("rejected", "Turned away before the body was read.", "why")
        self.cancelled = self._counter(
            "cancelled", "Given up because the client had gone, by where it was.", "where"
        )
        self.expired = self._counter("expired", "Given up because the deadline had passed.")
        self.failed = self._counter("failed", "Images that inference failed on.")
        self.engines_lost = self._counter("engines_lost", "Engines replaced.", "why")
        self.out_of_memory = self._counter(
            "out_of_memory", "Images that memory did not suffice for, in halves neither."
        )
        self.info = Gauge(
            "face_service_model_info",
            "1 for what computes: pack, recogniser, precision, providers, version.",
            ["pack", "recogniser", "precision", "providers", "version"],
            registry=self.registry,
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"face_service_{name}", text, labels, registry=self.registry)

    def watch(self, **values: Callable[[], float]) -> None:
        """Show values as gauges; each is asked for when somebody looks."""
        for name, value in values.items():
            Gauge(GAUGES[name][0], GAUGES[name][1], registry=self.registry).set_function(value)

    def observe(self, stages: Mapping[str, float], faces: Iterable[int]) -> None:
        """Count an answered request: milliseconds by stage, faces by image."""
        for stage, milliseconds in stages.items():
            self.stages.labels(stage).observe(milliseconds / 1e3)
        for count in faces:
            self.faces.observe(count)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


GAUGES = {
    "inside": ("face_service_requests_inside", "Requests being read, waiting or computed."),
    "queued": ("face_service_queue_depth", "Requests that wait for an engine."),
    "decoded": ("face_service_decoded_bytes", "Decoded pixels in memory, in bytes."),
    "lanes": ("face_service_engines", "Engines that work."),
    "fallback": (
        "face_service_provider_fallback",
        "1 where the execution provider that was asked for does not compute.",
    ),
    "ready": ("face_service_ready", "1 where a request sent now is answered."),
}
