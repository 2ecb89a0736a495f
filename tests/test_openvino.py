"""OpenVINO for real: every pack that can be had finds, embeds and describes the same faces through
it as through ONNX Runtime's CPU provider; a server takes it by itself."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from face_service.config import Settings
from face_service.engine_factory import detector_canvases
from face_service.engine_factory.builder import build_engine
from face_service.packs.catalog import CATALOG
from face_service.packs.local import load_folder
from face_service.packs.pack import Pack
from face_service.packs.store import resolve
from face_service.runtime.providers import CPU, OPENVINO
from face_service.vision.image import decode
from tests.server import Server

ROOT = Path(__file__).resolve().parent.parent
PACKS = (
    "starter",
    "stand-in for buffalo_l",
    "det_500m + EdgeFace",
    "det_2.5g + EdgeFace",
    "open",
    "a recogniser of 128 numbers whose sides are free",
)


@pytest.fixture(scope="module")
def photos(shared: Path, six_faces: Path) -> list[Path]:
    """t1.jpg and two photos of LFW."""
    return [six_faces, *sorted((shared / "faces" / "lfw").glob("*/*.jpg"))[::120]]


@pytest.fixture(scope="module")
def folders(
    standin: Path,
    starter: Pack,
    open_pack: Pack,
    with_edgeface: Callable[[str], Path],
    with_free_sides: Callable[[int], Path],
) -> list[Path]:
    """The folder of each of PACKS."""
    return [
        starter.directory,
        standin,
        with_edgeface("det_500m"),
        with_edgeface("det_2.5g"),
        open_pack.directory,
        with_free_sides(128),
    ]


@pytest.fixture(scope="module")
def through_openvino(
    openvino_python: Path,
    photos: list[Path],
    folders: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Where the nodes of each pack ran, and `<pack>.<photo>.<field>` of its faces."""
    out = tmp_path_factory.mktemp("openvino") / "faces.npz"
    run = subprocess.run(
        [openvino_python, ROOT / "tests" / "openvino" / "faces.py", out, *photos, "--", *folders],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")},
        cwd=out.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()], dict(np.load(out))


@pytest.mark.parametrize("index", range(len(PACKS)), ids=PACKS)
def test_the_same_faces_as_on_the_cpu(
    index: int,
    through_openvino: tuple[list[dict[str, Any]], dict[str, Any]],
    folders: list[Path],
    photos: list[Path],
) -> None:
    _, theirs = through_openvino
    folder = folders[index]
    known = folder.name in CATALOG
    pack = resolve(folder.name, folder.parent) if known else load_folder(folder)
    engine = build_engine(pack, detector_canvases(Settings(_env_file=None)), (CPU,), threads=2)
    found = 0
    for number, photo in enumerate(photos):
        faces = engine.analyse_image(decode(photo.read_bytes(), 10**9))
        other = {key.rpartition(".")[2]: rows for key, rows in theirs.items()
                 if key.startswith(f"{index}.{number}.")}  # fmt: skip
        assert len(faces) == len(other["score"]), photo
        found += len(faces)
        for face, box, score, landmarks, embedding, age, gender in zip(
            faces, *(other[field] for field in FIELDS), strict=True
        ):
            assert np.abs(face.bbox - box).max() < 0.01, photo
            assert np.abs(face.landmarks - landmarks).max() < 0.01, photo
            assert abs(face.score - score) < 1e-5, photo
            assert face.embedding is not None
            assert float(face.embedding @ embedding) > 0.99999, photo
            assert (face.age, face.gender) == (age, gender), photo
    assert found >= 8


FIELDS = ("bbox", "score", "landmarks", "embedding", "age", "gender")


def test_openvino_has_computed_it(
    through_openvino: tuple[list[dict[str, Any]], dict[str, Any]],
) -> None:
    placements, _ = through_openvino
    assert len(placements) == len(PACKS)
    for pack in placements:
        assert all(nodes.get(OPENVINO, 0) >= 1 for nodes in pack.values())
        # What it does not take is some shape arithmetic: a node or two, where the CPU has 100.
        assert all(nodes.get(CPU, 0) <= 2 for nodes in pack.values())


@pytest.fixture
def server(openvino_python: Path, start_server: Callable[..., Server]) -> Iterator[Server]:
    running = start_server(
        python=openvino_python, ONNX_PROVIDERS="auto", PYTHONPATH=f"{ROOT}/src:{ROOT}"
    )
    running.wait_until_ready()
    yield running
    running.stop()


def test_a_server_takes_it_by_itself(server: Server, six_faces: Path) -> None:
    health = server.client.get("/health").json()
    assert health["onnx_providers"] == [OPENVINO, CPU]
    assert health["fallback"] is None
    assert health["runtime"]["offered"] == [OPENVINO, CPU]
    assert health["runtime"]["placement"]["face_detection_yunet_2023mar.onnx"] == {OPENVINO: 1}
    answer = server.client.post("/detect", files={"file": six_faces.read_bytes()})
    assert len(answer.json()["faces"]) == 6
