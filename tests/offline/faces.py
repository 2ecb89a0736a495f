"""Folders as `embed` writes them, of faces that are made up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from face_service.face_engine import Embedding, Face
from face_service.offline.manifest import Item, parts_of
from face_service.offline.output import Folder
from face_service.offline.schema import Failure, Frame, Outcome, table
from face_service.vision.pose import Pose
from face_service.vision.quality import Quality

MODEL = {
    "pack": "made-up",
    "recogniser": "a" * 64,
    "precision": "fp32",
    "alignment": "antialiased",
    "dimension": 512,
}
BOX = np.array([10, 10, 60, 70], np.float32)
LANDMARKS = np.zeros((5, 2), np.float32)


def face(embedding: Embedding | None, score: float = 0.9) -> Face:
    quality = Quality(0.8, 50, 10, 0.5, 1, 0, None, Pose(0, 0, 0), ())
    error = None if embedding is not None else "landmarks are degenerate"
    return Face(BOX, score, LANDMARKS, embedding, 30, "F", quality, error)


def unit(seed: int, dimension: int = 512) -> Embedding:
    vector = np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)
    return vector / np.linalg.norm(vector)


def photo(item: Item, faces: Sequence[Face]) -> Outcome:
    return Outcome(item, [Frame(None, 100, 100, faces)])


def failed(item: Item, code: str) -> Outcome:
    return Outcome(item, failure=Failure(code, "it cannot be read"))


def write(
    folder: Path, outcomes: Sequence[Outcome], rows: int = 4, model: dict[str, object] = MODEL
) -> Path:
    """A folder of parts."""
    about = {"model": model, "options": {}}
    folder.mkdir(parents=True, exist_ok=True)
    out = Folder(str(folder))
    parts = parts_of([outcome.item for outcome in outcomes], rows, about)
    for part in parts:
        some = outcomes[part.number * rows :][:rows]
        out.write(part, table(some, int(str(model["dimension"])), about))
    return folder
