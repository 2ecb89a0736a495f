"""GET /metrics: what docs/metrics.md says is there, is there, and no more than that."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from face_service import __version__
from tests.server import Server
from tests.test_docs import table
from tests.wire import metric

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
BUCKET = {"le"}
"""A label that every histogram has."""


def families(server: Server) -> dict[str, Metric]:
    """What /metrics shows, by the names that stand in the text."""
    text = server.client.get("/metrics").text
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: family
        for family in text_string_to_metric_families(text)
    }


def test_the_page_lists_what_the_service_exposes(server: Server, four_faces: Path) -> None:
    server.client.post("/detect", files={"file": four_faces.read_bytes()})
    shown = {
        name: (
            family.type,
            {label for sample in family.samples for label in sample.labels} - BUCKET,
        )
        for name, family in families(server).items()
    }
    listed = {
        row[0].strip("`"): (row[1], {label for label in row[2].split(", ") if label})
        for row in table(PAGE, "Metric")
    }
    assert listed == shown
    assert all(row[3] for row in table(PAGE, "Metric"))


def test_promtool_has_nothing_against_the_names(server: Server, four_faces: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: it is in Debian's package prometheus")
    server.client.post("/detect", files={"file": four_faces.read_bytes()})
    run = subprocess.run(
        ["promtool", "check", "metrics"],
        input=server.client.get("/metrics").text,
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout + run.stderr) == (0, "")


def test_a_request_is_counted_with_its_stages_and_faces(server: Server, four_faces: Path) -> None:
    photo = four_faces.read_bytes()
    timing = server.client.post("/detect", files={"file": photo}).headers["server-timing"]
    stages = {part.partition(";")[0] for part in timing.split(", ")}

    def counts() -> dict[str, float]:
        wanted: dict[str, tuple[str, dict[str, str]]] = {
            "requests": (
                "face_service_requests_total",
                {"endpoint": "/detect/batch", "status": "200"},
            ),
            "durations": (
                "face_service_request_duration_seconds_count",
                {"endpoint": "/detect/batch", "class": "2xx"},
            ),
            "images": ("face_service_faces_per_image_count", {}),
            "faces": ("face_service_faces_per_image_sum", {}),
            "batches": ("face_service_batch_images_count", {}),
            "images in batches": ("face_service_batch_images_sum", {}),
            **{
                stage: ("face_service_stage_duration_seconds_count", {"stage": stage})
                for stage in stages
            },
        }
        return {name: metric(server, each, **labels) for name, (each, labels) in wanted.items()}

    before = counts()
    server.client.post("/detect/batch", files=[("files", photo), ("files", photo)])
    after = counts()
    rise = {name: after[name] - before[name] for name in before}
    assert rise == {
        "requests": 1,
        "durations": 1,
        "images": 2,
        "faces": 8,
        "batches": 1,
        "images in batches": 2,
        **dict.fromkeys(stages, 1),
    }


@pytest.mark.parametrize(
    ("former", "now"),
    [("images_per_turn", "batch_images"), ("faces_per_turn", "batch_faces")],
)
def test_a_former_name_has_the_samples_of_the_new_one(
    server: Server, four_faces: Path, former: str, now: str
) -> None:
    server.client.post("/detect", files={"file": four_faces.read_bytes()})
    text = server.client.get("/metrics").text

    def samples(name: str) -> list[str]:
        lines = [line for line in text.splitlines() if line.startswith(f"face_service_{name}_")]
        return [line.removeprefix(f"face_service_{name}_") for line in lines]

    assert samples(former) == samples(now) != []
    described = f"# HELP face_service_{former} Deprecated: now face_service_{now}."
    assert described in text.splitlines()


def test_times_are_seconds(server: Server, four_faces: Path) -> None:
    """As in Server-Timing, which has milliseconds; a request takes as long as its stages or
    longer, and no longer than its caller waits."""
    name = "face_service_{}_duration_seconds_sum"

    def seconds(stages: Iterable[str]) -> tuple[float, dict[str, float]]:
        whole = metric(server, name.format("request"), endpoint="/detect")
        return whole, {stage: metric(server, name.format("stage"), stage=stage) for stage in stages}

    file = {"file": four_faces.read_bytes()}
    stages = times_of(server.client.post("/detect", files=file))
    whole_before, before = seconds(stages)
    began = time.perf_counter()
    times = times_of(server.client.post("/detect", files=file))
    waited = time.perf_counter() - began
    whole_after, after = seconds(stages)
    # The headers go out before the last stage has ended; in them it is rounded, too.
    times.pop("serialise")
    for stage, milliseconds in times.items():
        assert after[stage] - before[stage] == pytest.approx(milliseconds / 1e3, abs=1e-5)
    assert sum(times.values()) / 1e3 <= whole_after - whole_before <= waited


def times_of(response: httpx.Response) -> dict[str, float]:
    """Milliseconds by stage, in the order of Server-Timing."""
    parts = (part.split(";dur=") for part in response.headers["server-timing"].split(", "))
    return {stage: float(milliseconds) for stage, milliseconds in parts}


def test_the_page_lists_the_stages(server: Server, four_faces: Path) -> None:
    detected = server.client.post("/detect", files={"file": four_faces.read_bytes()}).json()
    faces = [{"embedding": face["embedding"]} for face in detected["faces"]]
    server.client.post("/group", json={"faces": faces}).raise_for_status()
    samples = families(server)["face_service_stage_duration_seconds"].samples
    (row,) = (row for row in table(PAGE, "Metric") if "stage_duration" in row[0])
    listed = set(row[3].split("`")[1::2]) - {"Server-Timing", "/group"}
    listed -= {"verify"}  # no pack here has a verifier
    assert listed == {sample.labels["stage"] for sample in samples}


def test_model_info_says_what_health_says(server: Server) -> None:
    health = server.client.get("/health").json()
    (sample,) = families(server)["face_service_model_info"].samples
    assert sample.value == 1
    assert sample.labels == {
        "pack": "open",
        "recogniser": health["recogniser"],
        "precision": health["precision"],
        "providers": ",".join(health["onnx_providers"]),
        "version": __version__,
    }


def test_paths_that_clients_make_up_become_no_labels(server: Server) -> None:
    def endpoints() -> set[str]:
        samples = families(server)["face_service_requests_total"].samples
        return {sample.labels["endpoint"] for sample in samples}

    before = endpoints()
    for n in range(40):
        server.client.get(f"/made-up/{n}")
        server.client.request("BREW" if n % 2 else "DELETE", f"/detect?x={n}")
    assert endpoints() - before <= {"other", "/detect"}


def test_no_series_says_when_another_began(server: Server) -> None:
    assert "_created" not in server.client.get("/metrics").text


def test_what_can_be_counted_stands_at_0_before_it_happens(server: Server) -> None:
    shown = families(server)
    for name, label, values in (
        ("rejected", "why", {"overloaded", "starting", "recovering", "failed", "draining"}),
        ("cancelled", "where", {"waiting", "decoding", "computing"}),
        ("cancelled", "why", {"client", "deadline"}),
        ("engines_lost", "why", {"broken", "stalled"}),
    ):
        samples = shown[f"face_service_{name}_total"].samples
        assert {sample.labels[label] for sample in samples} == values
