"""How a detector gate comes to an engine: found, made in the background, refused, or missing with a
reason."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import pytest

from face_service.engine_factory import gates
from face_service.engine_factory.builder import Canvases, build_engine
from face_service.engine_factory.gates import (
    FACTS,
    NETWORK,
    GateFacts,
    gate_folder,
)
from face_service.face_engine import FaceEngine
from face_service.packs.entries import Role
from face_service.packs.pack import Pack
from face_service.runtime import mapped
from face_service.runtime.child_folder import SIZES
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.tools.bench.frames import background
from face_service.vision.canvas import Size

from .server import Server
from .small_gate import SQUARE, supplied


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RuntimeConfig:
    """A cache in which there is no gate."""
    return RuntimeConfig(threads=2, cache=tmp_path_factory.mktemp("cache") / "compiled")


@pytest.fixture
def plain(starter: Pack, config: RuntimeConfig) -> FaceEngine:
    return build_engine(starter, SQUARE, (CPU,), config=config)


def test_another_detector_canvas_version_build_or_processor_has_another(
    starter: Pack, config: RuntimeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "detector_spec", lambda _, canvases: (None, canvases))
    folders = {gate_folder(starter, SQUARE, config)}
    detector = replace(starter.models[Role.DETECTION], sha256="0" * 64)
    models = {**starter.models, Role.DETECTION: detector}
    folders.add(gate_folder(replace(starter, models=models), SQUARE, config))
    folders.add(gate_folder(starter, Canvases((Size(320, 320),), None), config))
    folders.add(gate_folder(starter, Canvases(SQUARE.allowed, Size(128, 128)), config))
    for module, name, value in (
        (gates, "VERSION", 999),
        (mapped, "fingerprint", lambda: "x86_64 avx2 fma"),
        (mapped.onnxruntime, "get_build_info", lambda: "another"),
    ):
        with monkeypatch.context() as other:
            other.setattr(module, name, value)
            folders.add(gate_folder(starter, SQUARE, config))
    assert len(folders) == 7


def test_a_detector_that_nobody_has_calibrated_has_none(
    plain: FaceEngine, starter: Pack, config: RuntimeConfig, tmp_path: Path
) -> None:
    detector = replace(starter.models[Role.DETECTION], sha256="0" * 64)
    pack = replace(starter, models={**starter.models, Role.DETECTION: detector})
    supply = supplied(plain, pack, replace(config, cache=tmp_path), "auto")
    assert supply.status.state == "none"
    assert "face-service models quantize PACK --calibrate PHOTOS --gate" in str(
        supply.status.detail
    )
    supply.make(lambda: [plain])
    assert plain.gate is None
    assert not list(tmp_path.iterdir())


def test_one_that_was_refused_is_not_used(
    plain: FaceEngine, starter: Pack, config: RuntimeConfig, tmp_path: Path
) -> None:
    elsewhere = replace(config, cache=tmp_path)
    folder = gate_folder(starter, SQUARE, elsewhere)
    folder.mkdir(parents=True)
    facts = GateFacts("0" * 64, 0.4, 0.5, 0.4, 300, 7, "it would lose 7 of 300 faces")
    (folder / FACTS).write_text(json.dumps(asdict(facts)))
    (folder / SIZES).write_text(json.dumps({FACTS: (folder / FACTS).stat().st_size}))
    status = supplied(plain, starter, elsewhere, "on").status
    assert (status.state, plain.gate) == ("none", None)
    assert status.detail == "it would lose 7 of 300 faces"


@pytest.mark.parametrize("content", [b"{}", b"[1]", b"no JSON", b"\xff"])
def test_facts_that_cannot_be_read_are_made_again(
    content: bytes, plain: FaceEngine, starter: Pack, config: RuntimeConfig, tmp_path: Path
) -> None:
    elsewhere = replace(config, cache=tmp_path)
    folder = gate_folder(starter, SQUARE, elsewhere)
    folder.mkdir(parents=True)
    (folder / FACTS).write_bytes(content)
    (folder / SIZES).write_text(json.dumps({FACTS: len(content)}))
    assert supplied(plain, starter, elsewhere, "auto").status.state == "building"


def test_where_it_does_not_load_the_engine_computes_without(
    plain: FaceEngine, starter: Pack, config: RuntimeConfig, tmp_path: Path, four_faces: Path
) -> None:
    elsewhere = replace(config, cache=tmp_path)
    folder = gate_folder(starter, SQUARE, elsewhere)
    folder.mkdir(parents=True)
    (folder / NETWORK).write_bytes(b"\xff" * 100)
    facts = GateFacts("0" * 64, 0.4, 0.5, 0.4, 300, 0)
    (folder / FACTS).write_text(json.dumps(asdict(facts)))
    sizes = {name: (folder / name).stat().st_size for name in (FACTS, NETWORK)}
    (folder / SIZES).write_text(json.dumps(sizes))
    status = supplied(plain, starter, elsewhere, "on").status
    assert status.state == "none"
    assert "it does not load" in str(status.detail)
    assert supplied(plain, starter, elsewhere, "on").status.state == "building", "the next start"
    assert len(plain.analyse_image(cv2.imread(str(four_faces)))) == 4


WRITES_NO_FACTS = (
    "import json, pathlib, sys; request = json.loads(sys.stdin.readline()); "
    "pathlib.Path(request['folder'], 'gate.json').write_text('{}')"
)


@pytest.mark.parametrize(
    ("program", "reason"), [("raise SystemExit('oh')", "oh"), (WRITES_NO_FACTS, "GateFacts")]
)
def test_where_it_cannot_be_made_the_reason_is_said(
    program: str,
    reason: str,
    plain: FaceEngine,
    starter: Pack,
    config: RuntimeConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(gates, "COMMAND", (sys.executable, "-c", program))
    supply = supplied(plain, starter, replace(config, cache=tmp_path / "here"), "auto")
    assert supply.status.state == "building"
    with caplog.at_level("INFO"):
        supply.make(lambda: [plain])
    assert (supply.status.state, plain.gate) == ("none", None)
    assert str(supply.status.detail).startswith(f"it could not be made: {reason}")
    assert f"No detector gate: it could not be made: {reason}" in caplog.text


def wait_for(running: Server, state: str) -> dict[str, object]:
    """The gate in /health once it is in this state."""
    until = time.monotonic() + 120
    while (gate := running.client.get("/health").json()["gate"])["state"] != state:
        assert time.monotonic() < until, gate
        time.sleep(0.2)
    return dict(gate)


def test_a_first_start_makes_it_behind_the_answers(
    start_server: Callable[..., Server], starter: Pack, four_faces: Path, tmp_path: Path
) -> None:
    (tmp_path / "starter").symlink_to(starter.directory.absolute())
    variables = {
        "INSIGHTFACE_MODEL": "starter",
        "MODEL_CACHE_DIR": str(tmp_path),
        "DET_GATE": "auto",
        "INTRA_OP_THREADS": "1",
    }
    running = start_server("tests.gated", **variables)
    running.wait_until_ready()
    assert running.client.get("/health").json()["gate"]["state"] == "building"

    def faces(photo: bytes) -> list[dict[str, object]]:
        answer = running.client.post("/detect", files={"file": photo})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["faces"])

    expected = faces(four_faces.read_bytes())
    assert len(expected) == 4
    assert wait_for(running, "idle")["mode"] == "auto"
    small = cv2.imencode(".jpg", cv2.resize(background(0), (320, 180)))[1].tobytes()
    for _ in range(200):  # 74 where a run costs 0.85 of a detection, as on avx2
        assert faces(small) == []
        if running.client.get("/health").json()["gate"]["state"] == "running":
            break
    assert faces(small) == []
    assert faces(four_faces.read_bytes()) == expected
    lines = running.client.get("/metrics").text.splitlines()
    counted = {line.split()[0]: float(line.split()[1]) for line in lines if "gate_verdicts" in line
               and not line.startswith("#")}  # fmt: skip
    assert counted['face_service_gate_verdicts_total{verdict="empty"}'] >= 1
    assert counted['face_service_gate_verdicts_total{verdict="perhaps"}'] >= 1
    assert counted['face_service_gate_verdicts_total{verdict="skipped"}'] >= 1
    assert "Detector gate, DET_GATE=auto: " in running.log()

    again = start_server("tests.gated", **variables | {"DET_GATE": "on"})
    again.wait_until_ready()
    assert again.client.get("/health").json()["gate"]["state"] == "running", "from the start"
