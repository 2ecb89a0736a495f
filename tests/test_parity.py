"""The same photos through this service and through insightface 2.1, number by number.

insightface's answers are kept in .oracle/answers, because they depend on nothing but files and the
processor, whose hash is their name. What this service says is computed anew every time.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from face_service.engine_factory.builder import Canvases, build_engine
from face_service.face_engine import Face
from face_service.packs.local import load_folder
from face_service.packs.pack import sha256_of
from face_service.runtime.processor import fingerprint
from face_service.runtime.providers import CPU
from face_service.runtime.threads import available_cpus
from face_service.vision.canvas import Size
from face_service.vision.detector import CLOSEUP
from face_service.vision.image import decode

ORACLE = Path(__file__).parents[1] / ".oracle"
SCRIPT = Path(__file__).parent / "oracle" / "insightface_faces.py"
DET_500M, DET_2_5G = "det_500m + edgeface_xs", "det_2.5g + edgeface_xs"
STANDIN = "stand-in for buffalo_l"
LFW_PHOTOS = int(os.environ.get("LFW_PHOTOS", "15"))
"""100 for the table of docs/performance-measured.md."""


@dataclass
class Agreement:
    """What two answers for the same photos have in common."""

    faces: int = 0
    bit_equal_detections: int = 0
    bit_equal_embeddings: int = 0
    worst_box: float = 0.0
    worst_score: float = 0.0
    worst_landmark: float = 0.0
    worst_cosine: float = 1.0


@pytest.fixture(scope="module")
def photos(shared: Path, six_faces: Path, solvay: Path) -> list[Path]:
    """t1.jpg, Solvay 1927, and LFW_PHOTOS photos of LFW."""
    lfw = sorted((shared / "faces" / "lfw").glob("*/*.jpg"))[::2]
    return [six_faces, solvay, *lfw[:LFW_PHOTOS]]


@pytest.fixture(scope="module")
def pack_folder(standin: Path, with_edgeface: Callable[[str], Path]) -> Callable[[str], Path]:
    """A folder of ONNX files for each name above."""
    return lambda name: standin if name == STANDIN else with_edgeface(name.split()[0])


@pytest.fixture(scope="module")
def faces_of(
    pack_folder: Callable[[str], Path], photos: list[Path]
) -> Callable[[str, bool], list[list[Face]]]:
    """The faces that this service finds on the photos, once for each pack and its canvases."""

    @cache
    def analysed(name: str, auto: bool) -> list[list[Face]]:
        canvases = Canvases((Size(640, 640),), CLOSEUP if auto else None)
        engine = build_engine(load_folder(pack_folder(name)), canvases, (CPU,), threads=2)
        chosen = of_pack(name, photos)
        return [engine.analyse_image(decode(path.read_bytes(), 10**8)) for path in chosen]

    return analysed


def of_pack(name: str, photos: list[Path]) -> list[Path]:
    """The photos for a pack: fewer for the stand-in, whose networks take ten times as long. Where
    LFW_PHOTOS is not set, Solvay 1927 is not among them: 29 faces, half a minute of a processor."""
    if name != STANDIN:
        return photos
    many = photos[:2] if "LFW_PHOTOS" in os.environ else photos[:1]
    return [*many, *photos[2 : 2 + LFW_PHOTOS * 2 // 5]]


@pytest.mark.parametrize(
    ("name", "auto", "static"),
    [
        (DET_500M, False, True),
        (DET_2_5G, False, True),
        (STANDIN, False, True),
        (DET_500M, False, False),
        (DET_2_5G, True, False),
    ],
)
def test_faces_equal_those_of_insightface(
    name: str,
    auto: bool,
    static: bool,
    pack_folder: Callable[[str], Path],
    photos: list[Path],
    faces_of: Callable[[str, bool], list[list[Face]]],
    parity_table: list[str],
) -> None:
    photos = of_pack(name, photos)
    expected = ask_oracle(pack_folder(name), 0 if auto else 640, photos, static)

    total, singles = Agreement(), 0
    for index, (photo, faces) in enumerate(zip(photos, faces_of(name, auto), strict=True)):
        oracle = {key: expected[f"{index}.{key}"] for key in FIELDS}
        compare(faces, oracle, total, photo.name)
        singles += len(faces) == 1

    many = {"t1.jpg": 6, "solvay.jpg": 29}
    assert total.faces >= sum(many.get(photo.name, 1) for photo in photos)
    if not static:
        assert total.bit_equal_detections == total.faces
        # EdgeFace multiplies matrices, and adds up in another order in a batch of several
        # faces; insightface embeds them one by one.
        assert total.bit_equal_embeddings >= singles
    parity_table.append(
        f"{name:24} {'Auto' if auto else '640 '} {'its default' if static else 'same graph '} "
        f"{len(photos)} photos, "
        f"{total.faces} faces; bit-equal: {total.bit_equal_detections} detections, "
        f"{total.bit_equal_embeddings} embeddings; "
        f"worst: box {total.worst_box:.1e} px, score {total.worst_score:.1e}, landmark "
        f"{total.worst_landmark:.1e} px, 1 - cosine {1 - total.worst_cosine:.1e}"
    )


FIELDS = ("bboxes", "scores", "landmarks", "embeddings", "ages", "genders")


def ask_oracle(folder: Path, det_size: int, photos: list[Path], static: bool) -> dict[str, object]:
    """insightface's answers, by `<index of photo>.<field>`."""
    lock = SCRIPT.parents[2] / "requirements-oracle.lock"
    files = [SCRIPT, SCRIPT.with_name("quiet.py"), lock, *sorted(folder.glob("*.onnx")), *photos]
    machine = (sys.version, fingerprint(), available_cpus())
    facts = (det_size, static, machine, [(path.name, sha256_of(path)) for path in files])
    key = hashlib.sha256(repr(facts).encode()).hexdigest()
    kept = ORACLE / "answers" / f"{key}.npz"
    if not kept.is_file():
        kept.parent.mkdir(exist_ok=True)
        out = kept.with_suffix(".part.npz")
        options = [folder, str(det_size), str(int(static)), out, *photos]
        subprocess.run(
            [ORACLE / "bin" / "python", SCRIPT, *options], check=True, stdout=subprocess.DEVNULL
        )
        out.replace(kept)
    return dict(np.load(kept))


def compare(faces: list[Face], oracle: dict[str, object], total: Agreement, photo: str) -> None:
    """Hold the answers for one photo against each other, within the promised bounds."""
    assert len(faces) == len(np.atleast_1d(oracle["scores"])), photo
    for i, face in enumerate(faces):
        mine = (face.bbox, np.float32(face.score), face.landmarks, face.embedding)
        theirs = tuple(np.asarray(oracle[key])[i] for key in FIELDS[:4])
        box, score, landmark = (
            float(np.abs(a - b).max()) for a, b in zip(mine[:3], theirs[:3], strict=True)
        )
        cosine = float(np.dot(np.float64(mine[3]), np.float64(theirs[3])))
        assert max(box, score, landmark) <= 1e-3, (photo, i)
        assert cosine >= 0.99999, (photo, i)
        assert face.age == np.asarray(oracle["ages"])[i], (photo, i)
        assert face.gender == np.asarray(oracle["genders"])[i], (photo, i)
        total.faces += 1
        equal = [np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True)]
        total.bit_equal_detections += all(equal[:3])
        total.bit_equal_embeddings += equal[3]
        total.worst_box = max(total.worst_box, box)
        total.worst_score = max(total.worst_score, score)
        total.worst_landmark = max(total.worst_landmark, landmark)
        total.worst_cosine = min(total.worst_cosine, cosine)
