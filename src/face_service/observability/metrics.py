"""Prometheus metrics, in one registry per application. docs/metrics.md describes each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

from face_service.observability.request_record import RequestRecord

SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75,
    1, 1.5, 2.5, 5, 10, 30,
)  # fmt: skip
"""Buckets of durations, close together where requests usually fall: a quantile is as exact as its
bucket."""
FACES = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55)
"""Buckets of numbers of faces."""
IMAGES = (1, 2, 4, 8, 16, 32)
"""Buckets of numbers of images."""
WHY_REJECTED = ("overloaded", "starting", "recovering", "failed", "draining")
"""Values of the label `why` of requests that were rejected."""


class Metrics:
    """Counters, histograms and gauges, all named `face_service_…`.

    Known label values are exported as 0 from the start: `rate` sees a step from 0 to 1, but not
    the first sample of a new series.
    """

    def __init__(self) -> None:
        # No `_created` series beside every counter and histogram.
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
        self.batch_images = self._histogram(
            "batch_images", "Images that an engine computed in one batch.", IMAGES
        )
        self.batch_faces = self._histogram(
            "batch_faces", "Faces that an engine embedded or described in one batch.", FACES
        )
        self.registry.register(FormerName("images_per_turn", self.batch_images))
        self.registry.register(FormerName("faces_per_turn", self.batch_faces))
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
        self.gate_verdicts = self._counter(
            "gate_verdicts",
            "Images by what the detector gate said: empty, perhaps a face, or not asked.",
            "verdict",
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
            (self.gate_verdicts, ("empty", "perhaps", "skipped")),
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
        """Export functions as gauges, by their names in GAUGES. Each is called at every scrape, on
        the thread that scrapes. Raises ValueError for one that is exported already."""
        for name, value in values.items():
            self._gauge(*GAUGES[name]).set_function(value)

    def describe(self, **labels: str) -> None:
        """Set all labels of `face_service_model_info` (`self.info`), in place of earlier ones."""
        self.info.clear()
        self.info.labels(**labels).set(1)

    def count(self, record: RequestRecord) -> None:
        """Count a request whose record has ended: status, seconds, stages and faces by image."""
        self.requests.labels(record.endpoint, record.status).inc()
        kind = f"{record.status // 100}xx"
        self.duration.labels(record.endpoint, kind).observe(record.seconds)
        for stage, milliseconds in record.times.items():
            self.stages.labels(stage).observe(milliseconds / 1e3)
        for faces in record.faces:
            self.faces.observe(faces)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class FormerName(Collector):
    """A metric once more under its former name, until version 0.2.

    name: the former one, without `face_service_`.
    """

    def __init__(self, name: str, metric: Histogram) -> None:
        self._name = f"face_service_{name}"
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        """The samples of the metric, renamed."""
        for now in self._metric.collect():
            former = Metric(self._name, f"Deprecated: now {now.name}.", now.type)
            former.samples = [
                sample._replace(name=sample.name.replace(now.name, self._name))
                for sample in now.samples
            ]
            yield former


GAUGES = {
    "inside": ("requests_inside", "Requests being read, waiting or computed."),
    "queued": ("queue_depth", "Requests that wait for an engine."),
    "bodies": (
        "body_bytes",
        "Bytes of bodies that requests hold or may still send, and of answers yet to be sent.",
    ),
    "decoded": ("decoded_bytes", "Memory that decoding takes, in bytes."),
    "workers": ("engines", "Engines that work."),
    "decoders": ("decoders", "Decode threads that work."),
    "fallback": (
        "provider_fallback",
        "1 where the execution provider that was asked for does not compute.",
    ),
    "ready": ("ready", "1 where a request sent now is answered."),
}
"""Gauges of `Metrics.watch`: by argument, the name without `face_service_` and the help text."""
