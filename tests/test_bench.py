"""`face-service bench`: its figures add up, its clock is right, it stays on this machine."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from face_service.bench import frames
from face_service.bench.bare import loop, record
from face_service.bench.client import BROKEN, Client, Reply, request_of, stages_of
from face_service.bench.load import Load, Plan, Sample, run, take_turns
from face_service.bench.report import Measured, as_dict, as_text, percentile
from face_service.bench.server import cpu_seconds, free_port, loopback, peak_rss_mb, running
from face_service.errors import FaceServiceError, StartupError
from face_service.face_engine import FaceEngine
from face_service.packs.pack import Pack
from face_service.runtime.network import Network
from face_service.vision.image import decode

PIXELS = 10_000_000


class Clock:
    """A clock that only sleeping and sending move, and a server that takes `service` seconds."""

    def __init__(self, service: float = 0.0, status: int = 200) -> None:
        self.now = 1000.0
        self.service = service
        self.status = status
        self.sent: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def send(self, turn: int) -> Reply:
        self.sent.append(self.now - 1000.0)
        self.now += self.service
        return Reply(self.status, faces=turn)

    def run(self, plan: Plan) -> list[Sample]:
        turns = itertools.count().__next__
        return take_turns(plan, turns, self.send, self, self.sleep, started=1000.0)


def test_latency_counts_from_when_a_request_was_due() -> None:
    clock = Clock(service=0.25)
    samples = clock.run(Plan(clients=1, requests=100, seconds=0.4, rate=10))
    assert clock.sent == pytest.approx([0, 0.25, 0.5, 0.75])
    assert [s.late for s in samples] == pytest.approx([0, 0.15, 0.3, 0.45])
    assert [s.latency for s in samples] == pytest.approx([0.25, 0.4, 0.55, 0.7])


def test_a_server_that_keeps_up_is_asked_on_time() -> None:
    clock = Clock(service=0.02)
    samples = clock.run(Plan(clients=1, requests=100, seconds=0.5, rate=10))
    assert clock.sent == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert [s.late for s in samples] == pytest.approx([0] * 5)
    assert [s.latency for s in samples] == pytest.approx([0.02] * 5)


def test_a_hopeless_backlog_is_given_up_after_twice_the_time() -> None:
    clock = Clock(service=1.0)
    samples = clock.run(Plan(clients=1, requests=100, seconds=2, rate=10))
    assert clock.sent == pytest.approx([0, 1, 2, 3, 4])
    assert len(samples) == 5


def test_a_closed_loop_posts_as_soon_as_it_has_an_answer() -> None:
    clock = Clock(service=0.3)
    samples = clock.run(Plan(clients=1, requests=3, seconds=60))
    assert clock.sent == pytest.approx([0, 0.3, 0.6])
    assert [s.latency for s in samples] == pytest.approx([0.3] * 3)
    assert all(s.late == 0 for s in samples)


def test_a_closed_loop_ends_when_time_is_up() -> None:
    clock = Clock(service=0.3)
    clock.run(Plan(clients=1, requests=100, seconds=0.5))
    assert clock.sent == pytest.approx([0, 0.3])


@pytest.mark.parametrize(
    ("plan", "arrivals"),
    [
        (Plan(1, 100, 2.5, rate=10), 25),
        (Plan(1, 7, 2.5, rate=10), 7),
        (Plan(1, 100, 0.1, rate=0.5), 1),
        (Plan(1, 100, 0.1), 100),
    ],
)
def test_arrivals_are_bounded_in_count_and_time(plan: Plan, arrivals: int) -> None:
    assert plan.arrivals == arrivals


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(v) for v in range(1, 101)]
    assert [percentile(values[::-1], p) for p in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert [percentile([1.0, 2.0, 3.0, 4.0], p) for p in (25, 26, 50, 51)] == [1, 2, 2, 3]
    assert [percentile([7.0], p) for p in (1, 50, 100)] == [7, 7, 7]
    assert math.isnan(percentile([], 50))


def sample(status: int, latency: float, faces: int = 0, **stages: float) -> Sample:
    return Sample(status, latency, 0.0, faces, stages)


def report(samples: list[Sample], **others: Any) -> dict[str, Any]:
    load = Load(samples, seconds=2.0, cpu_seconds=0.5, unsent=1)
    parts: dict[str, Any] = {
        "plan": Plan(4, 6, 10),
        "images": 2,
        "health": {},
        "server_cpu_seconds": 3.0,
        "peak_rss_mb": None,
        "ready_seconds": None,
        "bare": None,
        "recipe": None,
        **others,
    }
    return as_dict(Measured(load=load, **parts))


def test_failures_are_counted_and_do_not_flatter_the_latency() -> None:
    samples = [
        sample(200, 0.1, faces=1, decode=4.0),
        sample(200, 0.3, faces=2, decode=6.0, embed=8.0),
        sample(503, 0.001, decode=900.0),
        sample(0, 0.001),
        sample(503, 0.001),
    ]
    figures = report(samples)
    assert figures["errors"] == {"broken": 1, "503": 2}
    assert (figures["sent"], figures["answered"], figures["unsent"]) == (5, 2, 1)
    assert figures["requests_per_second"] == 1.0
    assert (figures["faces_per_second"], figures["faces_per_request"]) == (1.5, 1.5)
    assert figures["latency_ms"] == pytest.approx(
        {"mean": 200, "p50": 100, "p95": 300, "p99": 300, "max": 300}
    )
    assert figures["stages_ms"] == {"decode": 5.0, "embed": 4.0}
    assert figures["server_cpu_seconds_per_request"] == 1.5
    assert figures["client_cpu_seconds_per_request"] == 0.1


def test_a_report_without_a_single_answer_is_still_json() -> None:
    figures = report([sample(503, 0.1)])
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert figures["latency_ms"]["p50"] is None
    assert "unknown" in as_text(figures)


def test_stages_are_read_from_the_header() -> None:
    assert stages_of("decode;dur=1.50, detect;dur=81.2") == {"decode": 1.5, "detect": 81.2}
    assert stages_of("") == stages_of("cache;desc=hit") == {}


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:81", "http://localhost:81", "http://127.8.9.1:81"]
)
def test_loopback_is_accepted(url: str) -> None:
    address = loopback(url)
    assert address.host.startswith("127.")
    assert address.port == 81


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.7:8100",
        "http://0.0.0.0:8100",
        "http://[2001:db8::1]:8100",
        "http://10.0.0.1",
        "https://127.0.0.1:8100",
        "http://127.0.0.1@192.0.2.7:8100",
        "http://127.0.0.1:99999",
        "127.0.0.1:8100",
        "http://",
        "",
    ],
)
def test_load_on_another_machine_is_refused(url: str) -> None:
    with pytest.raises(FaceServiceError, match="only http on this machine"):
        loopback(url)


class Answering(BaseHTTPRequestHandler):
    """Notes what arrives and answers with two faces, or hangs up as often as it was told."""

    protocol_version = "HTTP/1.1"
    bodies: list[bytes]
    connections: set[int]
    hang_ups: int

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.connections.add(self.client_address[1])
        if self.server.hang_ups:
            self.server.hang_ups -= 1
            self.close_connection = True
            return
        body = b'{"faces": [{"bbox": [1]}, {"bbox": [2]}]}'
        self.send_response(200)
        self.send_header("Server-Timing", "detect;dur=2.5")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stub():
    """A server that answers at once."""
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    listening.bodies, listening.connections, listening.hang_ups = [], set(), 0
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield listening
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_clients_keep_their_connections_and_send_every_image_in_turn(stub: Any) -> None:
    load = run(Plan(clients=2, requests=9, seconds=60), *stub.server_address, [b"one", b"two"])
    assert [s.status for s in load.samples] == [200] * 9
    assert all((s.faces, s.stages) == (2, {"detect": 2.5}) for s in load.samples)
    assert len(stub.connections) <= 2
    assert sorted(b"one" in body for body in stub.bodies) == [False] * 4 + [True] * 5
    assert (load.unsent, load.errors) == (0, {})


def test_a_server_that_hangs_up_is_an_error_not_a_crash(stub: Any) -> None:
    stub.hang_ups = 3
    load = run(Plan(clients=1, requests=3, seconds=60), *stub.server_address, [b"one"])
    assert [s.status for s in load.samples] == [BROKEN] * 3
    assert load.errors == {"broken": 3}


def test_a_connection_that_grew_stale_is_opened_again(stub: Any) -> None:
    host, port = stub.server_address
    client, request = Client(host, port), request_of(b"one", host, port)
    assert client.send(request).status == 200
    stub.hang_ups = 1
    assert client.send(request).status == 200
    assert len(stub.bodies) == 3
    assert len(stub.connections) == 2
    client.close()


def test_nothing_listens(tmp_path: Path) -> None:
    load = run(Plan(1, 2, 60), "127.0.0.1", free_port(), [b"one"])
    assert load.errors == {"broken": 2}


def test_the_bare_limit_runs_exactly_what_the_engine_runs(
    engine: FaceEngine, six_faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [six_faces.read_bytes(), frames.compose([], 0)]
    recorded, recipe = record(engine, images, PIXELS)
    assert recipe.faces == 6
    # The starter pack's recogniser takes one face a run, age and gender take all at once.
    assert recipe.calls == {
        "1×3×640×640": 2,
        "1×3×112×112": 6,
        "6×3×64×64": 1,
        "6×3×32×32": 1,
    }
    assert [len(calls) for calls in recorded] == [9, 1]
    seen: list[Any] = []
    original = Network.run
    monkeypatch.setattr(Network, "run", lambda n, blob: seen.append((n, blob)) or original(n, blob))
    done = loop(recorded, 0.0)
    assert done.images == 2
    assert done.throughput > 0
    expected = [call for calls in recorded for call in calls]
    assert len(seen) == len(expected)
    for (network, blob), call in zip(seen, expected, strict=True):
        assert network is call.network
        assert np.array_equal(blob, call.blob)


def test_frames_hold_the_photos_they_are_asked_for(engine: FaceEngine, shared: Path) -> None:
    for faces in (0, 1, 6):
        images = frames.generate(faces, shared / "faces", 2)
        assert len(set(images)) == 2
        for data in images:
            pixels = decode(data, PIXELS)
            assert pixels.shape == (1080, 1920, 3)
            # A photo may show somebody in the background too.
            assert faces <= len(engine.faces_of(pixels)) <= 2 * faces


def test_faces_need_photos(tmp_path: Path) -> None:
    with pytest.raises(FaceServiceError, match="needs --photos"):
        frames.generate(1, None, 4)
    with pytest.raises(FaceServiceError, match=f"room for {frames.MOST_FACES} "):
        frames.generate(frames.MOST_FACES + 1, tmp_path, 4)
    with pytest.raises(FaceServiceError, match="0 images, 1 are needed"):
        frames.generate(1, tmp_path, 4)
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(FaceServiceError, match="not an image"):
        frames.generate(1, tmp_path, 1)


def test_cpu_time_of_a_process_counts_every_thread() -> None:
    code = "import hashlib, threading, time\n" + (
        "work = lambda: hashlib.pbkdf2_hmac('sha256', b'', b'', 600_000)\n"
        "threads = [threading.Thread(target=work) for _ in range(2)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "print(time.process_time(), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        own = float(process.stdout.readline())
        assert cpu_seconds(process.pid) == pytest.approx(own, abs=0.05)
        assert 5 < peak_rss_mb(process.pid) < 500
        process.communicate("\n")
    assert cpu_seconds(2**22 + 1) is None
    assert peak_rss_mb(2**22 + 1) is None


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(StartupError, match="DET_SIZE=641 is not allowed"),
        running({"DET_SIZE": "641", "INSIGHTFACE_MODEL": "starter"}),
    ):
        pass


def test_sigterm_leaves_no_server_behind(starter: Pack) -> None:
    code = (
        "import time\nfrom face_service.bench.server import running\n"
        "with running({}) as server:\n"
        "    print(server.process.pid, flush=True); time.sleep(60)"
    )
    variables = {
        "INSIGHTFACE_MODEL": starter.name,
        "MODEL_CACHE_DIR": str(starter.directory.parent),
    }
    with subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, **variables}, stdout=subprocess.PIPE
    ) as process:
        pid = int(process.stdout.readline())
        assert cpu_seconds(pid) is not None
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    assert cpu_seconds(pid) is None


@pytest.fixture
def bench(starter: Pack, tmp_path: Path):
    """The command, run as a person runs it, on the starter pack."""

    def run_it(*arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "INSIGHTFACE_MODEL": "starter",
            "MODEL_CACHE_DIR": str(starter.directory.parent),
        }
        command = [sys.executable, "-c", "from face_service.cli import main; main()", "bench"]
        return subprocess.run(
            [*command, *map(str, arguments)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run_it


def test_a_real_server_under_a_closed_loop(bench, six_faces: Path) -> None:
    result = bench(six_faces, "--clients", 2, "--requests", 6, "--bare", 0.2, "--json")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["server"]["model"] == "starter"
    assert (figures["sent"], figures["answered"], figures["unsent"]) == (6, 6, 0)
    assert (figures["errors"], figures["rate"], figures["late"]) == ({}, None, None)
    assert figures["requests_per_second"] == pytest.approx(6 / figures["seconds"])
    assert figures["faces_per_request"] == 6
    assert figures["faces_per_second"] == pytest.approx(6 * figures["requests_per_second"])
    latency = figures["latency_ms"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] == latency["max"]
    stages = figures["stages_ms"]
    assert {"decode", "queue", "detect", "align", "embed", "attributes"} <= set(stages)
    assert sum(stages.values()) <= latency["mean"]
    assert figures["server_cpu_seconds_per_request"] > figures["client_cpu_seconds_per_request"]
    assert figures["peak_rss_mb"] > 50
    assert figures["ready_seconds"] > 0
    bare = figures["bare_limit"]
    assert bare["images_per_second"] > 0
    assert bare["share"] == pytest.approx(
        figures["requests_per_second"] / bare["images_per_second"]
    )
    assert bare["runs"]["1×3×640×640"] == 1
    assert bare["runs"]["1×3×112×112"] == 6


def test_a_constant_rate_for_people_to_read(bench) -> None:
    result = bench("--rate", 4, "--seconds", 1, "--bare", 0)
    assert result.returncode == 0, result.stderr
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert lines["arrivals"] == "4/s"
    assert lines["requests"].startswith("4 answered of 4")
    assert lines["faces"] == "0.00/s, 0.00 a request"
    assert "sent late" in result.stdout
    assert "bare limit" not in result.stdout


def test_a_running_server_is_taken_as_it_is(bench, server: Any) -> None:
    result = bench("--url", server.url, "--requests", 3, "--json")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["answered"] == 3
    assert figures["server"]["model"] == "starter"
    assert [figures[name] for name in ("bare_limit", "ready_seconds", "peak_rss_mb")] == [None] * 3
    assert server.process.poll() is None


def test_a_server_elsewhere_is_refused_before_anything_is_sent(bench) -> None:
    result = bench("--url", "http://192.0.2.1:8100")
    assert result.returncode == 2
    assert "only http on this machine" in result.stderr


def test_a_pack_that_is_not_there_is_one_sentence(bench, tmp_path: Path) -> None:
    result = bench("--model", f"{tmp_path}/none", "--requests", 1)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert str(tmp_path / "none") in result.stderr
