"""Faces of photos through OpenVINO, to be run with the Python of .openvino:
`faces.py OUT.npz PHOTO... -- FOLDER...`. Writes `<folder>.<photo>.<field>`, prints a line of JSON a
pack: where its nodes ran."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from face_service.config import Settings
from face_service.engine_factory import detector_canvases, smoke_test
from face_service.engine_factory.builder import Canvases, build_engine
from face_service.packs.catalog import CATALOG
from face_service.packs.local import load_folder
from face_service.packs.store import resolve
from face_service.runtime.providers import OPENVINO, RuntimeConfig
from face_service.vision.image import decode


def main() -> None:
    out, *rest = sys.argv[1:]
    split = rest.index("--")
    photos, folders = rest[:split], rest[split + 1 :]
    answers = {}
    for index, name in enumerate(folders):
        folder = Path(name)
        known = folder.name in CATALOG
        pack = resolve(folder.name, folder.parent) if known else load_folder(folder)
        canvases: Canvases = detector_canvases(Settings(_env_file=None))
        engine = build_engine(pack, canvases, (OPENVINO,), config=RuntimeConfig(threads=2))
        smoke_test(engine)
        print(json.dumps({file: dict(nodes) for file, nodes in engine.placement().items()}))
        for number, photo in enumerate(photos):
            faces = engine.analyse_image(decode(Path(photo).read_bytes(), 10**9))
            for field in ("bbox", "score", "landmarks", "embedding", "age", "gender"):
                answers[f"{index}.{number}.{field}"] = np.array([getattr(f, field) for f in faces])
    np.savez(out, **answers)


if __name__ == "__main__":
    main()
