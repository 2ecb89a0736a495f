"""What half precision costs in accuracy, as far as a CPU can tell.

    .venv/bin/python -m benchmarks.studies.fp16_drift PACK-OR-FOLDER...

Every network is converted as PRECISION=fp16 has it converted, and both run on ONNX Runtime's CPU
provider. It has no kernels for fp16: weights, and what goes from operator to operator, are rounded
to fp16, and sums inside an operator are fp32's. Tensor cores sum in fp32, too. Photos and pairs are
those of ../shared/faces.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.frames import ROOT
from face_service.engine_factory.builder import Canvases, build_engine
from face_service.face_engine import FaceEngine
from face_service.packs.catalog import CATALOG
from face_service.packs.local import load_folder
from face_service.packs.pack import Pack
from face_service.packs.store import resolve
from face_service.runtime.half import half_precision
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.tools.evaluation import main_face, measure_pairs, read_pairs
from face_service.vision.canvas import Size
from face_service.vision.image import decode

FACES = ROOT.parent / "shared" / "faces"
SQUARE = Canvases((Size(640, 640),), None)


def halved(pack: Pack, config: RuntimeConfig) -> Pack:
    """The same pack, its files converted."""
    models = {
        role: replace(model, path=half_precision(model.path, model.sha256, config))
        for role, model in pack.models.items()
    }
    return replace(pack, models=models)


def embeddings(engine: FaceEngine, photos: list[Path]) -> np.ndarray:
    """The main face of each photo, float32 [n, dimension]."""
    rows = []
    for photo in photos:
        image = decode(photo.read_bytes(), 10**9)
        rows.append(main_face(engine.analyse_image(image), image).embedding)
    return np.stack(rows)


def report(name: str) -> None:
    """One pack: cosine, accuracy in both precisions, faces found by one alone."""
    pack = resolve(name, ROOT / "models") if name in CATALOG else load_folder(Path(name))
    rows = read_pairs(FACES / "pairs.csv")
    photos = sorted((FACES / "lfw").glob("*/*.jpg"))
    with tempfile.TemporaryDirectory() as cache:
        half = build_engine(
            halved(pack, RuntimeConfig(cache=Path(cache))), SQUARE, (CPU,), threads=2
        )
    full = build_engine(pack, SQUARE, (CPU,), threads=2)
    cosines = (embeddings(full, photos) * embeddings(half, photos)).sum(axis=1)
    print(f"{pack.name}: {len(photos)} photos, cosine mean {cosines.mean():.6f}, ", end="")
    print(f"least {cosines.min():.6f}")
    for precision, engine in (("fp32", full), ("fp16", half)):
        pairs = measure_pairs(engine, rows, FACES / "lfw")
        best = pairs.best_threshold()
        print(
            f"  {precision}: best {pairs.accuracy(best):.2%} at {best:.3f}, "
            f"10-fold {pairs.cross_validated_accuracy():.2%}"
        )
    solvay = decode((ROOT / "models" / ".photos" / "solvay.jpg").read_bytes(), 10**9)
    ours, theirs = full.analyse_image(solvay), half.analyse_image(solvay)
    print(f"  Solvay 1927: {len(ours)} and {len(theirs)} faces", end="")
    if len(ours) == len(theirs):
        boxes = max(np.abs(a.bbox - b.bbox).max() for a, b in zip(ours, theirs, strict=True))
        scores = max(abs(a.score - b.score) for a, b in zip(ours, theirs, strict=True))
        print(f", boxes within {boxes:.2f} px of 3000, scores within {scores:.4f}")
    else:
        print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packs", nargs="+")
    for name in parser.parse_args().packs:
        report(name)


if __name__ == "__main__":
    main()
