"""How a detector gate is judged, and the frames that judge it. The rest:
tests/test_gate.py, tests/test_gate_supply.py."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from face_service.cli import app
from face_service.engine_factory import gates
from face_service.packs.pack import Pack
from face_service.tools.photos import read_photo
from face_service.tools.quantization import gate
from face_service.tools.quantization.calibration import build_cpu_detector
from face_service.tools.quantization.frames import Head, frames, heads_of
from face_service.vision.detections import Detections
from face_service.vision.detector import DetectorInput
from face_service.vision.scrfd import Scrfd
from tests.small_gate import COMMAND, SQUARE

FOLDER = Path(gate.__file__).parent


@pytest.fixture(scope="module")
def detector(starter: Pack) -> Scrfd:
    return build_cpu_detector(starter, SQUARE, 1)


@pytest.fixture(scope="module")
def heads(detector: Scrfd) -> list[Head]:
    """The astronaut alone: what is asked here does not depend on who it is."""
    return heads_of(read_photo(FOLDER / "astronaut.jpg"), detector)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "LIMIT", (2, 2))
    monkeypatch.setattr(gate, "TRIAL", (2, 3))
    monkeypatch.setattr(gate, "ROUNDS", 1)


class Changed(Scrfd):
    """The detector, with other scores."""

    def candidates(self, detector_input: DetectorInput, min_score: float = 0.5) -> Detections:
        found = super().candidates(detector_input, min_score / self.factor)
        return replace(found, scores=found.scores * np.float32(self.factor))

    factor = 1.0


def changed(detector: Scrfd, factor: float) -> Scrfd:
    kind = type("Changed", (Changed,), {"factor": factor})
    made = kind(detector.network, detector.preprocessor)
    assert isinstance(made, Scrfd)
    return made


@pytest.mark.usefixtures("few")
def test_the_limit_lies_below_every_score_and_within_bounds(
    detector: Scrfd, heads: list[Head]
) -> None:
    same = gate.judge(detector, detector, heads, "0")
    assert same.limit == 0.3, "0.6 of at least 0.5"
    assert (same.lost, same.refused) == (0, None)
    assert same.faces > 0
    assert same.cost > 0
    half = gate.judge(detector, changed(detector, 0.5), heads, "0")
    seen = [s for _, s in gate.pairs_of_scores(detector, detector, frames(heads, *gate.LIMIT))]
    assert half.limit == pytest.approx(0.6 * 0.5 * min(seen), rel=0.02)


@pytest.mark.usefixtures("few")
def test_a_gate_that_sees_less_than_its_limit_is_refused(
    detector: Scrfd, heads: list[Head]
) -> None:
    facts = gate.judge(detector, changed(detector, 0.05), heads, "0")
    assert facts.limit == 0.1
    assert facts.refused == f"it would lose {facts.lost} of {facts.faces} faces; 0.3% are allowed"
    assert facts.lost == facts.faces > 0


def test_frames_are_the_same_for_a_seed_and_others_for_another(heads: list[Head]) -> None:
    first, again, other = (list(islice(frames(heads, 2, seed), 2)) for seed in (1, 1, 2))
    assert all(map(np.array_equal, first, again))
    assert not any(map(np.array_equal, first, other))


def test_the_photos_hold_thirty_faces_and_little_space(detector: Scrfd) -> None:
    paths = [FOLDER / name for name in gate.PHOTOS]
    assert sum(path.stat().st_size for path in paths) < 1_000_000
    assert sum(len(heads_of(read_photo(path), detector)) for path in paths) >= 29


def test_the_command_makes_one_from_photos(
    starter: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "COMMAND", COMMAND)
    (tmp_path / "starter").symlink_to(starter.directory.absolute())
    monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path))
    photos = tmp_path / "photos"
    photos.mkdir()
    command = ["models", "quantize", "starter", "--gate", "--calibrate", str(photos)]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code != 0
    assert "0 faces on 0 photos; 16 are needed" in str(refused.exception or refused.output)
    (photos / "solvay.jpg").symlink_to(FOLDER / "solvay.jpg")
    made = CliRunner().invoke(app, command)
    assert made.exit_code == 0, made.output
    folder = Path(made.output.splitlines()[-1])
    facts = json.loads((folder / "gate.json").read_text())
    assert f"limit {facts['limit']:.3f}, 0 of {facts['faces']} faces lost" in made.output


def test_without_gate_the_folder_must_be_named(starter: Pack) -> None:
    said = CliRunner().invoke(app, ["models", "quantize", str(starter.directory)])
    assert said.exit_code == 2
    assert "--gate" in said.output
