"""`python -m tests.references CLASS`: write tests/references/CLASS.npz, what a processor of that
class makes of six faces of Solvay 1927.

    .venv/bin/python -m tests.references avx512-vnni-bf16-amx      # on such a processor
    qemu-x86_64 -cpu max .venv/bin/python -m tests.references avx2 # anywhere, some minutes

The class is named because an emulated processor cannot be told from /proc/cpuinfo. In the file:
`landmarks`, float32 [6, 5, 2], so that no detector is needed to cut the faces out again; `fp32` and
`int8`, float32 [6, 512], embeddings of the starter pack's recogniser and of its int8 form,
calibrated on the same six faces.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from face_service.packs.catalog import Role
from face_service.packs.pack import Pack, PackModel
from face_service.packs.store import resolve
from face_service.quantization.network import quantize_network
from face_service.quantization.pack import RECOGNISER_OPERATORS
from face_service.vision.alignment import align_face
from face_service.vision.blob import Blob, to_blob
from face_service.vision.image import decode
from tests.kernels import embed

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "references"
PHOTO = ROOT / "src" / "face_service" / "doctor" / "faces.jpg"
FACES = 6

Floats = NDArray[np.float32]


def inputs_of(model: PackModel, landmarks: Floats) -> Blob:
    """The recogniser's input, [n, 3, 112, 112]: the faces with these landmarks."""
    photo = decode(PHOTO.read_bytes(), 10**8)
    crops = [align_face(photo, points) for points in landmarks]
    return to_blob([crop for crop in crops if crop is not None], model.normalization)


def quantised(model: PackModel, inputs: Blob, folder: Path) -> Path:
    """The int8 form of a recogniser, calibrated on these inputs."""
    target = folder / "int8.onnx"
    quantize_network(model.path, target, [row[None] for row in inputs], RECOGNISER_OPERATORS)
    return target


def landmarks_of(pack: Pack) -> Floats:
    """Of the faces of the photo that are found most surely, float32 [6, 5, 2]."""
    from face_service.assembly import Canvases
    from face_service.quantization.calibration import build_cpu_detector
    from face_service.vision.canvas import Size

    detector = build_cpu_detector(pack, Canvases((Size(640, 640),), None), threads=1)
    found = detector.detect(detector.prepare(decode(PHOTO.read_bytes(), 10**8)))
    return found.landmarks[np.argsort(-found.scores)[:FACES]]


def main(class_name: str) -> None:
    """Write the file of this class."""
    pack = resolve("starter", ROOT / "models")
    model = pack.models[Role.RECOGNITION]
    known = sorted(FOLDER.glob("*.npz"))
    landmarks = np.load(known[0])["landmarks"] if known else landmarks_of(pack)
    inputs = inputs_of(model, landmarks)
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        int8 = embed(quantised(model, inputs, Path(folder)), inputs)
    fp32 = embed(model.path, inputs)
    np.savez(FOLDER / f"{class_name}.npz", landmarks=landmarks, fp32=fp32, int8=int8)


if __name__ == "__main__":
    main(sys.argv[1])
