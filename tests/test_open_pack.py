"""The pack `open`: YuNet where SCRFD is elsewhere, on the same way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from face_service.engine_factory.builder import Canvases, build_engine
from face_service.engine_factory.gates import GateSupply, make_gate
from face_service.errors import PackError
from face_service.face_engine import FaceEngine, Options
from face_service.packs.entries import Role
from face_service.packs.pack import Pack, sha256_of
from face_service.packs.registries import OPEN, STARTER
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.tools.photos import read_photo
from face_service.tools.quantization.network import quantize_network
from face_service.vision.blob import to_blob
from face_service.vision.canvas import Size, allowed_canvases, letterbox
from face_service.vision.detector import CLOSEUP
from face_service.vision.scrfd import Scrfd
from face_service.vision.yunet import YuNet

CANVASES = Canvases(allowed_canvases(640), CLOSEUP)


def test_nothing_of_it_is_insightfaces() -> None:
    assert {file.sha256 for file in OPEN.files} & {file.sha256 for file in STARTER.files} == {
        file.sha256 for file in STARTER.files if file.role != "detection"
    }
    assert not any("InsightFace" in file.licence for file in OPEN.files)


def test_its_faces_are_those_of_the_starter_pack(
    open_engine: FaceEngine, engine: FaceEngine, four_faces: Path
) -> None:
    photo = read_photo(four_faces)
    ours, theirs = open_engine.analyse_image(photo), engine.analyse_image(photo)
    assert len(ours) == len(theirs) == 4
    for face in ours:
        other = max(theirs, key=lambda one: float(np.dot(one.embedding, face.embedding)))
        assert np.abs(other.landmarks - face.landmarks).max() < 8
        assert float(np.dot(other.embedding, face.embedding)) > 0.8
        assert face.usable == other.usable
        assert face.gender == "M"


def test_it_has_rectangles_and_a_close_up_though_its_file_declares_a_square(
    open_engine: FaceEngine, open_pack: Pack, four_faces: Path
) -> None:
    assert isinstance(open_engine._detector, YuNet)
    assert open_engine.preprocessor.canvases == CANVASES.allowed
    shapes: list[tuple[int, ...]] = []
    open_engine.networks[0].observer = lambda blob: shapes.append(blob.shape)
    photo = read_photo(four_faces)
    face = photo[87:156, 374:426]  # of it, from the brows to the mouth
    close = cv2.resize(face, None, fx=12, fy=12)
    assert len(open_engine.analyse_image(photo, Options(attributes=False))) == 4
    assert open_engine.analyse_image(close, Options(attributes=False))
    open_engine.networks[0].observer = None
    assert shapes[:2] == [(1, 3, 128, 128), (1, 3, 384, 640)]
    square = build_engine(open_pack, Canvases((Size(640, 640),), None), (CPU,), threads=1)
    assert not square.analyse_image(close), "the close-up is what finds it"


def with_detector(pack: Pack, path: Path) -> Pack:
    changed = replace(pack.models[Role.DETECTION], path=path, sha256=sha256_of(path))
    return replace(pack, models={**pack.models, Role.DETECTION: changed})


def test_one_that_is_quantised_has_them_too(
    open_pack: Pack, four_faces: Path, tmp_path: Path
) -> None:
    """As OpenCV Zoo's face_detection_yunet_2023mar_int8.onnx."""
    model, photo = open_pack.models[Role.DETECTION], read_photo(four_faces)
    canvases = (letterbox(photo, Size(640, 640)), letterbox(photo[:, ::-1], Size(640, 640)))
    blobs = [to_blob([canvas.pixels], model.normalization) for canvas in canvases if canvas]
    quantize_network(model.path, tmp_path / "int8.onnx", blobs, ("Conv",))
    pack = with_detector(open_pack, tmp_path / "int8.onnx")
    int8 = build_engine(pack, CANVASES, (CPU,), threads=1)
    assert int8.preprocessor.canvases == CANVASES.allowed
    assert len(int8.analyse_image(photo, Options(attributes=False))) == 4


def test_one_that_was_changed_for_one_size_has_that_size_alone(
    open_pack: Pack, four_faces: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = onnx.load(open_pack.models[Role.DETECTION].path)
    name = model.graph.input[0].name
    for node in model.graph.node:
        node.input[:] = ["sum" if each == name else each for each in node.input]
    zeros = np.zeros((1, 3, 640, 640), np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(zeros, "zeros"))
    model.graph.node.insert(0, onnx.helper.make_node("Add", [name, "zeros"], ["sum"]))
    onnx.save(model, tmp_path / "fixed.onnx")
    pack = with_detector(open_pack, tmp_path / "fixed.onnx")
    fixed = build_engine(pack, CANVASES, (CPU,), threads=1)
    assert fixed.preprocessor.canvases == (Size(640, 640),)
    assert "fixed.onnx is not given other sizes: its node sum (Add) may be for one" in caplog.text
    assert len(fixed.analyse_image(read_photo(four_faces), Options(attributes=False))) == 4


def test_it_gets_no_gate_and_says_why(
    open_engine: FaceEngine, open_pack: Pack, tmp_path: Path
) -> None:
    config = RuntimeConfig(cache=tmp_path)
    supply = GateSupply("auto", CANVASES, config)
    supply.equip(open_engine, open_pack)
    assert open_engine.gate is None
    assert supply.status.state == "none"
    assert "a run of YuNet takes a sixth of the CPU time" in (supply.status.detail or "")
    with pytest.raises(PackError, match="open gets no gate: a run of YuNet"):
        make_gate(open_pack, CANVASES, config)


def test_other_detectors_stay_what_they_were(engine: FaceEngine) -> None:
    assert isinstance(engine._detector, Scrfd)


def test_the_least_score_is_the_detectors_own_unless_a_request_says_another(
    open_engine: FaceEngine, engine: FaceEngine
) -> None:
    """Coloured noise, in which YuNet sees faint faces and SCRFD none."""
    coarse = [
        np.random.default_rng(seed).integers(0, 256, (48, 64, 3)).astype(np.uint8)
        for seed in range(6)
    ]
    noise = [cv2.resize(one, (640, 480), interpolation=cv2.INTER_NEAREST) for one in coarse]

    def found(one: FaceEngine, **said: float) -> int:
        options = Options(embeddings=False, attributes=False, quality=False, **said)  # type: ignore[arg-type]
        return sum(len(one.analyse_image(image, options)) for image in noise)

    assert (open_engine._detector.min_score, engine._detector.min_score) == (0.7, 0.5)
    assert found(open_engine, min_score=0.5) > 0
    assert (found(open_engine), found(engine)) == (0, 0)
