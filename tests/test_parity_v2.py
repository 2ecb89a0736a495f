"""Packs of version 2: a folder as InsightFace 2.x ships it, here and in insightface 2.1."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from face_service.engine_factory.builder import Canvases, build_engine
from face_service.packs.entries import Role
from face_service.packs.store import resolve
from face_service.runtime.providers import CPU
from face_service.tools.photos import read_photo
from face_service.vision.canvas import Size
from face_service.vision.detector import CLOSEUP

from . import raccoon
from .server import Server

ORACLE = Path(__file__).parents[1] / ".oracle"
SCRIPT = Path(__file__).parent / "oracle" / "insightface_v2.py"
MAKERS = {"raccoon_s": raccoon.raccoon_s, "raccoon_l": raccoon.raccoon_l}


@pytest.fixture(scope="module")
def folders(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    parent = tmp_path_factory.mktemp("packs")
    return {name: make(shared / "models", parent) for name, make in MAKERS.items()}


@pytest.mark.parametrize("name", MAKERS)
def test_faces_and_their_confidence_equal_those_of_insightface(
    name: str,
    folders: dict[str, Path],
    shared: Path,
    six_faces: Path,
    four_faces: Path,
    tmp_path: Path,
    parity_table: list[str],
) -> None:
    lfw = sorted((shared / "faces" / "lfw").glob("*/*.jpg"))[:3]
    photos = [six_faces, four_faces, *lfw]
    out = tmp_path / "answers.npz"
    python = ORACLE / "bin" / "python"
    subprocess.run([python, SCRIPT, folders[name], out, *photos], check=True, capture_output=True)
    expected = dict(np.load(out))
    pack = resolve(str(folders[name]), tmp_path)
    engine = build_engine(pack, Canvases((Size(640, 640),), CLOSEUP), (CPU,), threads=2)

    total, confidences, worst = 0, [], {"detection": 0.0, "confidence": 0.0, "cosine": 0.0}
    for index, path in enumerate(photos):
        faces = engine.analyse_image(read_photo(path))
        assert len(faces) == len(expected[f"{index}.scores"])
        for row, face in enumerate(faces):
            theirs = {key: expected[f"{index}.{key}"][row] for key in FIELDS}
            differences = (
                (face.bbox, "bboxes"),
                (face.score, "scores"),
                (face.landmarks, "landmarks"),
            )
            detection = max(np.abs(mine - theirs[key]).max() for mine, key in differences)
            assert face.confidence is not None and face.embedding is not None
            found = {
                "detection": float(detection),
                "confidence": abs(face.confidence - float(theirs["confidences"])),
                "cosine": 1 - float(np.dot(np.float64(face.embedding), theirs["embeddings"])),
            }
            worst = {key: max(worst[key], found[key]) for key in worst}
            confidences.append(face.confidence)
            total += 1
    assert total >= 13
    assert max(worst["detection"], worst["confidence"]) <= 1e-3
    assert worst["cosine"] <= 1e-5
    assert np.ptp(confidences) > 0.02, "the verifier tells these faces apart"
    parity_table.append(
        f"stand-in for {name:9} Auto same graph {len(photos)} photos, {total} faces; worst: "
        + ", ".join(f"{key} {value:.1e}" for key, value in worst.items())
    )


FIELDS = ("bboxes", "scores", "landmarks", "embeddings", "confidences")


def test_what_the_manifest_says_is_what_the_pack_is(folders: dict[str, Path]) -> None:
    small, large = (resolve(str(folders[name]), Path()) for name in MAKERS)
    assert (small.name, large.name, small.dimension) == ("raccoon_s", "raccoon_l", 512)
    assert list(small.models) == [Role.DETECTION, Role.VERIFICATION, Role.RECOGNITION]
    assert small.models[Role.DETECTION].path == (folders["raccoon_s"] / "onnx/detector.onnx")
    assert large.models[Role.VERIFICATION].expansion == 1.6
    assert large.models[Role.VERIFICATION].normalization.mean == (110.0,) * 3
    assert large.models[Role.RECOGNITION].normalization.std == 1.0
    assert "MODEL.LICENSE" in small.licence


def test_the_service_says_how_sure_it_is_that_a_face_is_one(
    folders: dict[str, Path], start_server: Callable[..., Server], four_faces: Path
) -> None:
    server = start_server(
        INSIGHTFACE_MODEL=str(folders["raccoon_s"]), QUALITY_MIN_FACE_CONFIDENCE="1"
    )
    server.wait_until_ready()
    image = {"file": four_faces.read_bytes()}
    answer = server.client.post("/detect", files=image).json()
    faces = answer["faces"]
    assert len(faces) == 4
    for face in faces:
        assert 0 <= face["face_confidence"] <= 1
        assert "not_a_face" in face["reasons"]
        assert not face["usable"]
        assert face["quality"]["score"] == pytest.approx(face["face_confidence"] / 2, abs=1e-6)
    loaded = server.client.get("/models").json()["loaded"]
    assert [file["role"] for file in loaded["files"]] == [
        "detection",
        "verification",
        "recognition",
    ]
    assert json.dumps(answer).count("face_confidence") == 4
