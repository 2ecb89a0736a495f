"""A card that is missing, does not load, fails, takes no node, or runs out of memory: real servers
on an ONNX Runtime that claims to have one (tests/accelerated.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from face_service.packs.pack import Pack
from face_service.runtime.providers import COMPILED
from tests.server import ONE_THREAD, Server
from tests.wire import metric, settled

CPU = "CPUExecutionProvider"
CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
MIGRAPHX, COREML = "MIGraphXExecutionProvider", "CoreMLExecutionProvider"
ROOT = Path(__file__).resolve().parent.parent


class Card:
    """Starts servers with a card, and makes the card fail."""

    def __init__(self, folder: Path, start_server: Callable[..., Server], starter: Pack) -> None:
        self._start, self._pack = start_server, starter.name
        self._fault = folder / "fault"
        self.models = folder / "models"
        self.models.mkdir()
        (self.models / starter.name).symlink_to(starter.directory.absolute())
        # What the CPU computes with is saved once for all; programs of cards lie beside it.
        saved = starter.directory.absolute().parent / COMPILED / "cpu"
        saved.mkdir(parents=True, exist_ok=True)
        (self.models / COMPILED).mkdir()
        (self.models / COMPILED / "cpu").symlink_to(saved)
        self.servers: list[Server] = []

    def start(self, accelerator: str, providers: str, **variables: str) -> Server:
        server = self._start(
            "tests.accelerated",
            ACCELERATOR=accelerator,
            INSIGHTFACE_MODEL=self._pack,
            ONNX_PROVIDERS=providers,
            FAULT=str(self._fault),
            MODEL_CACHE_DIR=str(self.models),
            DRAIN_GRACE_S="0",
            **{**ONE_THREAD, **variables},
        )
        self.servers.append(server)
        return server

    def fail(self, how: str | None) -> None:
        if how is None:
            self._fault.unlink(missing_ok=True)
        else:
            self._fault.write_text(how)


@pytest.fixture
def card(tmp_path: Path, start_server: Callable[..., Server], starter: Pack) -> Iterator[Card]:
    made = Card(tmp_path, start_server, starter)
    yield made
    for server in made.servers:
        server.stop()


@pytest.fixture(scope="module")
def own_card(
    tmp_path_factory: pytest.TempPathFactory, start_server: Callable[..., Server], starter: Pack
) -> Iterator[Card]:
    """The card of `on_card`."""
    made = Card(tmp_path_factory.mktemp("card"), start_server, starter)
    yield made
    for server in made.servers:
        server.stop()


@pytest.fixture(scope="module")
def on_card(own_card: Card) -> Server:
    """A server on a card and nothing else, ready; it has to survive what the tests do to it."""
    server = own_card.start(CUDA, CUDA)
    server.wait_until_ready()
    return server


def post(server: Server, photo: Path) -> httpx.Response:
    return server.client.post("/detect", files={"file": photo.read_bytes()})


WRONG = {
    "load": "cannot load scrfd.onnx: CUDA failure 35",
    "left-out": "ONNX Runtime could not load CUDAExecutionProvider",
    "first-run": "the first run failed: CUDA failure 700",
    "on-the-cpu": "took no node of scrfd.onnx",
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_card_that_does_not_compute_stops_the_start(card: Card, fault: str) -> None:
    card.fail(fault)
    server = card.start(CUDA, CUDA)
    assert server.wait_until_ended() == 1
    last = server.log().strip().splitlines()[-1]
    assert "The service cannot start: ONNX_PROVIDERS=CUDAExecutionProvider: " in last
    assert WRONG[fault] in last
    assert last.endswith("add CPUExecutionProvider to ONNX_PROVIDERS to allow the CPU instead")


@pytest.mark.parametrize("fault", WRONG)
def test_with_the_cpu_in_the_list_it_falls_back_and_says_so_everywhere(
    card: Card, fault: str
) -> None:
    card.fail(fault)
    server = card.start(CUDA, f"{CUDA},{CPU}")
    server.wait_until_ready()
    health = server.client.get("/health").json()
    assert health["onnx_providers"] == [CPU]
    assert health["fallback"].startswith("No configured providers available, falling back to CPU")
    assert WRONG[fault] in health["fallback"]
    assert "secret" not in health["fallback"], "whose host it is"
    assert health["runtime"]["asked"] == [CUDA, CPU]
    assert health["runtime"]["offered"] == [CUDA, CPU]
    assert health["runtime"]["taken"] == [CPU]
    assert set(health["runtime"]["placement"]["fr_feature.onnx"]) == {CPU}
    assert server.client.get("/models").json()["loaded"]["fallback"] == health["fallback"]
    assert metric(server, "face_service_provider_fallback") == 1
    (warning,) = [line for line in server.log().splitlines() if "WARNING - No configured" in line]
    assert warning.endswith(health["fallback"])
    assert "Using ONNX providers: ['CPUExecutionProvider']" in server.log()


@pytest.mark.parametrize(
    ("providers", "precision"),
    [
        pytest.param(f"{CUDA},{CPU}", "fp16", id="half precision, which the CPU has not"),
        pytest.param(f"{CUDA},{MIGRAPHX},{CPU}", "fp32", id="one list for a fleet"),
    ],
)
def test_what_stands_behind_the_card_is_not_missed(
    card: Card, providers: str, precision: str
) -> None:
    server = card.start(CUDA, providers, PRECISION=precision)
    server.wait_until_ready()
    health = server.client.get("/health").json()
    assert (health["onnx_providers"][0], health["fallback"]) == (CUDA, None)
    assert health["runtime"]["warnings"] == []
    assert metric(server, "face_service_provider_fallback") == 0
    assert "alling back" not in server.log()


def test_a_card_that_is_not_in_this_build_is_named_with_its_package(card: Card) -> None:
    server = card.start(CUDA, MIGRAPHX)
    assert server.wait_until_ended() == 1
    assert "MIGraphXExecutionProvider is not in this ONNX Runtime" in server.log()
    assert "onnxruntime-migraphx for ROCm 7.1 and later" in server.log()


def test_a_card_that_computes_is_shown_as_it_is(
    card: Card, four_faces: Path, start_server: Callable[..., Server], starter: Pack
) -> None:
    with_card = card.start(CUDA, "auto")
    without = start_server(INSIGHTFACE_MODEL=starter.name, **ONE_THREAD)
    for each in (with_card, without):
        each.wait_until_ready()
    health = with_card.client.get("/health").json()
    assert health["onnx_providers"] == [CUDA, CPU]
    assert (health["fallback"], health["progress"]) == (None, None)
    assert health["runtime"]["asked"] == ["auto"]
    assert all(set(nodes) == {CUDA} for nodes in health["runtime"]["placement"].values())
    assert len(health["runtime"]["placement"]) == 4
    assert health["runtime"]["warnings"] == []
    loaded = with_card.client.get("/models").json()["loaded"]
    assert loaded["runtime"] == health["runtime"]
    assert metric(with_card, "face_service_provider_fallback") == 0
    ours, theirs = (post(one, four_faces).json()["faces"] for one in (with_card, without))
    assert len(ours) == 4
    for face, right in zip(ours, theirs, strict=True):
        # Its graphs are written anew: a kernel may sum in another order.
        assert face["bbox"] == pytest.approx(right["bbox"], abs=0.01)
        assert np.dot(face["embedding"], right["embedding"]) > 0.99999
        assert (face["age"], face["gender"]) == (right["age"], right["gender"])


def test_a_card_with_room_for_one_worker_is_not_called_well(card: Card) -> None:
    card.fail("load-second")
    server = card.start(CUDA, f"{CUDA},{CPU}", WORKERS="2")
    server.wait_until_ready()
    health = server.client.get("/health").json()
    said = "1 of 2 workers: No configured providers available, falling back to CPU: "
    assert health["fallback"].startswith(said)
    assert health["onnx_providers"] == [CPU]
    assert server.client.get("/models").json()["loaded"]["fallback"] == health["fallback"]
    assert metric(server, "face_service_provider_fallback") == 1


def test_what_is_wrong_though_it_computes_is_in_the_log_and_on_health(
    card: Card, tmp_path: Path
) -> None:
    """Two builds of ONNX Runtime, as far as packages say; and a card that cannot be chosen."""
    package = tmp_path / "onnxruntime_gpu-1.31.1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Name: onnxruntime-gpu\nVersion: 1.31.1\n")
    server = card.start(COREML, "auto", DEVICE_ID="1", PYTHONPATH=f"{ROOT}:{tmp_path}")
    server.wait_until_ready()
    runtime = server.client.get("/health").json()["runtime"]
    builds, device = runtime["warnings"]
    assert "onnxruntime-gpu 1.31.1 are installed together" in builds
    assert device.startswith("DEVICE_ID=1 has no effect: CoreMLExecutionProvider")
    assert server.client.get("/models").json()["loaded"]["runtime"] == runtime
    for warning in (builds, device):
        assert f"WARNING - {warning}" in server.log()


def test_one_card_stands_behind_another(card: Card) -> None:
    card.fail("compile-fail")
    server = card.start(TENSORRT, f"{TENSORRT},{CPU}")
    server.wait_until_ready()
    assert "compiling scrfd.onnx 4 shapes failed" in server.client.get("/health").text


def test_memory_that_runs_out_once_costs_nothing(
    own_card: Card, on_card: Server, four_faces: Path
) -> None:
    before = metric(on_card, "face_service_out_of_memory_total")
    right = post(on_card, four_faces).json()["faces"]
    own_card.fail("oom-once")
    answer = post(on_card, four_faces)
    assert answer.status_code == 200
    assert [face["bbox"] for face in answer.json()["faces"]] == [face["bbox"] for face in right]
    settled(lambda: "a batch of 4 is tried in halves" in on_card.log())
    assert metric(on_card, "face_service_out_of_memory_total") == before


def test_memory_that_stays_short_is_a_503_and_needs_no_restart(
    own_card: Card, on_card: Server, four_faces: Path
) -> None:
    before = metric(on_card, "face_service_out_of_memory_total")
    right = post(on_card, four_faces).json()["faces"]
    own_card.fail("oom")
    answer = post(on_card, four_faces)
    assert (answer.status_code, answer.json()["code"]) == (503, "out_of_memory")
    assert int(answer.headers["retry-after"]) > 0
    assert "BFCArena" not in answer.text, "what ONNX Runtime says is for the log"
    settled(lambda: "scrfd.onnx ran out of memory: [ONNXRuntimeError]" in on_card.log())
    assert metric(on_card, "face_service_out_of_memory_total") == before + 1
    own_card.fail(None)
    # Whether an empty image fails as well is tried behind the answer: until then it seems ready.
    settled(lambda: post(on_card, four_faces).status_code == 200)
    answer = post(on_card, four_faces)
    assert answer.json()["faces"] == right
    assert on_card.process.poll() is None


def test_programs_are_compiled_before_it_is_ready_and_kept(card: Card, four_faces: Path) -> None:
    card.fail("compile-slow")
    server = card.start(MIGRAPHX, MIGRAPHX)
    seen = set()

    def ready() -> bool:
        try:
            health = server.client.get("/health")
        except httpx.TransportError:
            return False
        seen.add((health.json()["status"], health.json()["progress"]))
        return health.status_code == 200

    settled(ready, timeout=60)
    # The detector in batches of 1 and 4; recogniser, age and gender in batches of 1 and 2.
    starting = {progress for status, progress in seen if status == "starting" and progress}
    assert "compiling age-v1.onnx 2×64×64×3, 6 of 8" in starting
    assert all(progress.endswith(" of 8") for progress in starting)
    assert ("healthy", None) in seen
    assert len(post(server, four_faces).json()["faces"]) == 4
    server.stop()

    card.fail("compile-hang")  # nothing is left to compile
    again = card.start(MIGRAPHX, MIGRAPHX)
    again.wait_until_ready()


CHILDREN = {
    "compile-crash": "compiling scrfd.onnx 1×640×640×3 crashed (SIGSEGV)",
    "compile-hang": "compiling scrfd.onnx 1×640×640×3 did not end within COMPILE_TIMEOUT_S=2",
    "compile-fail": "compiling scrfd.onnx 1×640×640×3 failed: ",
}


@pytest.mark.parametrize("fault", CHILDREN)
def test_a_compiler_that_does_not_come_back_does_not_take_the_service_along(
    card: Card, fault: str
) -> None:
    limit = "2" if fault == "compile-hang" else "60"
    card.fail(fault)
    server = card.start(MIGRAPHX, f"{MIGRAPHX},{CPU}", COMPILE_TIMEOUT_S=limit)
    server.wait_until_ready()
    health = server.client.get("/health").json()
    assert health["onnx_providers"] == [CPU]
    assert CHILDREN[fault] in health["fallback"]


def test_a_compiler_that_crashes_stops_the_start_where_nothing_stands_behind_it(card: Card) -> None:
    card.fail("compile-crash")
    server = card.start(MIGRAPHX, MIGRAPHX)
    assert server.wait_until_ended() == 1
    assert CHILDREN["compile-crash"] in server.log().strip().splitlines()[-1]
