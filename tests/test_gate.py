"""The detector gate of an engine: what it spares, and what it must never change. How it comes to
the engine: test_gate_supply.py."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from face_service.engine_factory import gates
from face_service.engine_factory.builder import build_engine
from face_service.engine_factory.gates import (
    make_gate,
)
from face_service.face_engine import Face, FaceEngine, Options, PreparedImage, finish
from face_service.observability.timing import StageTimes
from face_service.packs.pack import Pack
from face_service.runtime.providers import CPU, OPENVINO, RuntimeConfig
from face_service.tools.bench.frames import background
from face_service.vision.blob import Image
from face_service.vision.gate_policy import Verdict
from face_service.vision.known import KnownFace

from .small_gate import COMMAND, SQUARE, supplied


@functools.cache
def empty() -> Image:
    """A frame of full HD without a face."""
    return background(0)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Gates are made from few frames."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gates, "COMMAND", COMMAND)
        yield


@pytest.fixture(scope="module")
def config(starter: Pack, tmp_path_factory: pytest.TempPathFactory) -> RuntimeConfig:
    """A cache that holds the gate of the starter pack."""
    made = RuntimeConfig(threads=2, cache=tmp_path_factory.mktemp("cache") / "compiled")
    assert make_gate(starter, SQUARE, made).refused is None
    return made


@pytest.fixture
def plain(starter: Pack, config: RuntimeConfig) -> FaceEngine:
    return build_engine(starter, SQUARE, (CPU,), config=config)


@pytest.fixture
def gated(plain: FaceEngine, starter: Pack, config: RuntimeConfig) -> FaceEngine:
    """An engine whose gate always runs."""
    supply = supplied(plain, starter, config, "on")
    assert (supply.status.mode, supply.status.state) == ("on", "running")
    return plain


@pytest.fixture(scope="module")
def picture(four_faces: Path) -> Image:
    return cv2.imread(str(four_faces))


def verdict(engine: FaceEngine, image: Image, options: Options | None = None) -> Verdict:
    prepared = PreparedImage(image, engine.preprocessor.preprocess(image), options or Options())
    return finish(engine.detect(prepared, StageTimes())).verdict


def contents(faces: list[Face]) -> list[dict[str, object]]:
    """Faces as what can be compared with ==."""
    return [
        {name: v.tobytes() if isinstance(v, np.ndarray) else v for name, v in asdict(face).items()}
        for face in faces
    ]


def test_of_an_empty_image_the_detector_does_not_run(gated: FaceEngine) -> None:
    runs: list[object] = []
    gated.networks[0].observer = runs.append
    assert verdict(gated, empty()) == "empty"
    assert gated.analyse_image(empty()) == []
    assert not runs


def test_faces_are_the_same_bit_by_bit(
    gated: FaceEngine, starter: Pack, config: RuntimeConfig, picture: Image
) -> None:
    assert verdict(gated, picture) == "perhaps"
    expected = build_engine(starter, SQUARE, (CPU,), config=config).analyse_image(picture)
    assert len(expected) == 4
    assert contents(gated.analyse_image(picture)) == contents(expected)


def test_whoever_wants_fainter_faces_is_not_served_by_it(gated: FaceEngine, picture: Image) -> None:
    assert verdict(gated, empty(), Options(min_score=0.49)) == "skipped"
    assert verdict(gated, empty(), Options(min_score=0.5)) == "empty"
    assert verdict(gated, picture, Options(min_score=0.9)) == "perhaps"


def test_where_a_face_is_known_to_be_the_detector_decides(gated: FaceEngine) -> None:
    runs: list[object] = []
    gated.networks[0].observer = runs.append
    inputs = gated.preprocessor.preprocess(empty())
    known = [KnownFace(bbox=np.array([0, 0, 99, 99], np.float32))]
    found = finish(gated.detect(PreparedImage(empty(), inputs, Options(), known), StageTimes()))
    closer = 1  # at the surroundings of the box, in which the picture as a whole shows no face
    assert (found.verdict, len(runs), len(found.faces)) == ("skipped", len(inputs) + closer, 1)


def test_between_two_canvases_others_may_run(gated: FaceEngine) -> None:
    inputs = gated.preprocessor.preprocess(empty()) * 2
    work = gated.detect(PreparedImage(empty(), inputs, Options()), StageTimes())
    assert next(work) is None
    with pytest.raises(StopIteration) as end:
        next(work)
    assert end.value.value.verdict == "empty"


def test_a_gate_that_fails_is_not_asked_again(
    gated: FaceEngine,
    picture: Image,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert gated.gate

    def fail(_: object) -> None:
        raise RuntimeError("no kernel")

    monkeypatch.setattr(gated.gate.network, "run", fail)
    assert len(gated.analyse_image(picture)) == 4
    assert "The detector gate has failed and is not used any more" in caplog.text
    monkeypatch.undo()
    assert verdict(gated, empty()) == "skipped"


def test_it_is_released_and_watched_with_the_engine(gated: FaceEngine) -> None:
    assert gated.gate
    before = gated.last_progress()
    assert verdict(gated, empty()) == "empty"
    assert gated.last_progress() > before, "a worker that only asks the gate has not stalled"
    gated.release()
    with pytest.raises(ValueError, match="foreseen"):
        gated.gate.network.run(np.zeros((1, 3, 640, 640), np.float32))


def test_one_that_is_there_is_not_made_again(
    starter: Pack, config: RuntimeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))
    assert make_gate(starter, SQUARE, config).faces > 0


def test_off_has_none(plain: FaceEngine, starter: Pack, config: RuntimeConfig) -> None:
    status = supplied(plain, starter, config, "off").status
    assert (status.state, status.detail, plain.gate) == ("none", "DET_GATE=off", None)


@pytest.mark.parametrize("change", [{"precision": "int8"}, {"providers": (OPENVINO, CPU)}])
def test_it_is_for_fp32_on_the_cpu(
    change: dict[str, object], plain: FaceEngine, starter: Pack, config: RuntimeConfig
) -> None:
    plain.info = replace(plain.info, **change)  # type: ignore[arg-type]
    status = supplied(plain, starter, config, "on").status
    assert (status.state, plain.gate) == ("none", None)
    assert "needs none" in str(status.detail)
