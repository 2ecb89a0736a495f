"""`python -m tests.references [CLASS]`: write tests/references/CLASS.npz, what a processor of one
class makes of faces of Solvay 1927.

    .venv/bin/python -m tests.references         # the class of this processor
    .venv/bin/python -m tests.references neon    # emulated: one of the EMULATIONS of kernels.py

In the file: `landmarks`, float32 [6, 5, 2], so that no detector is needed to cut the faces out
again; `fp32` and `int8`, float32 [n, dimension], embeddings of the first n faces by the starter
pack's recogniser and by its int8 form, calibrated on all six. n is 6, and EMULATED where the
processor is.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from face_service.packs.entries import Role
from face_service.packs.pack import Pack, PackModel
from face_service.packs.store import resolve
from face_service.runtime.processor import processor
from face_service.tools.quantization.network import quantize_network
from face_service.tools.quantization.pack import RECOGNISER_OPERATORS
from face_service.vision.alignment import align_face
from face_service.vision.blob import Blob, to_blob
from face_service.vision.image import decode
from tests.kernels import Floats, embed, emulated

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "references"
PHOTO = ROOT / "src" / "face_service" / "tools" / "doctor" / "faces.jpg"
FACES = 6
EMULATED = 3
"""Faces shown to an emulated processor, which takes some seconds for each."""


def read(path: Path) -> dict[str, Floats]:
    """What such a file holds."""
    with np.load(path) as file:
        return dict(file)


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
    from face_service.engine_factory.builder import Canvases
    from face_service.tools.quantization.calibration import build_cpu_detector
    from face_service.vision.canvas import Size

    detector = build_cpu_detector(pack, Canvases((Size(640, 640),), None), threads=1)
    found = detector.detect(detector.preprocess(decode(PHOTO.read_bytes(), 10**8)))
    return found.landmarks[np.argsort(-found.scores)[:FACES]]


def main(emulation: str | None) -> None:
    """Write the file of one of the EMULATIONS, or of this processor's class."""
    pack = resolve("starter", ROOT / "models")
    model = pack.models[Role.RECOGNITION]
    known = sorted(FOLDER.glob("*.npz"))
    landmarks = read(known[0])["landmarks"] if known else landmarks_of(pack)
    inputs = inputs_of(model, landmarks)
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        networks = {"fp32": model.path.absolute(), "int8": quantised(model, inputs, folder)}
        rows = {
            name: emulated(emulation, network, inputs[:EMULATED], folder)
            if emulation
            else embed(network, inputs)
            for name, network in networks.items()
        }
    name = emulation or processor().class_name
    np.savez(FOLDER / f"{name}.npz", landmarks=landmarks, **rows)


if __name__ == "__main__":
    main(sys.argv[1] if sys.argv[1:] else None)
