"""How well a pack tells people apart, measured on pairs of photos."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from face_service.errors import InvalidRequest
from face_service.face_engine import Embedding, Face, FaceEngine, Options
from face_service.tools.photos import read_photo
from face_service.vision.blob import Image

FOLDS = 10
"""LFW's protocol: a threshold is chosen on nine folds and judged on the tenth."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Results of pairs of photos.

    cosines: float64 [n], similarity of the main faces, -1 where a photo shows none. same: bool [n],
    whether the photos show one person. without_face: number of photos that show none.
    """

    cosines: NDArray[np.float64]
    same: NDArray[np.bool_]
    without_face: int

    def accuracy(self, threshold: float) -> float:
        """Share of the pairs, 0..1, for which `cosine >= threshold` is `same`."""
        return float(np.mean((self.cosines >= threshold) == self.same))

    def false_match_rate(self, threshold: float) -> float:
        """Share of the pairs of two people, 0..1, that reach the threshold."""
        return float(np.mean(self.cosines[~self.same] >= threshold))

    def false_non_match_rate(self, threshold: float) -> float:
        """Share of the pairs of one person, 0..1, that do not reach the threshold."""
        return float(np.mean(self.cosines[self.same] < threshold))

    def best_threshold(self) -> float:
        """The threshold of the highest accuracy, midway between two of the similarities.

        Raises InvalidRequest where all similarities are the same.
        """
        values = np.unique(self.cosines)
        if len(values) < 2:
            raise InvalidRequest(f"All pairs have the similarity {values[0]:g}: no threshold tells")
        candidates = (values[1:] + values[:-1]) / 2
        return float(max(candidates, key=self.accuracy))

    def cross_validated_accuracy(self) -> float:
        """Mean accuracy, 0..1, over FOLDS folds, each judged at the best threshold of the others.

        Raises InvalidRequest as `best_threshold` does.
        """
        fold = np.arange(len(self.same)) % FOLDS
        return float(
            np.mean(
                [
                    self._only(fold == k).accuracy(self._only(fold != k).best_threshold())
                    for k in range(FOLDS)
                ]
            )
        )

    def _only(self, chosen: NDArray[np.bool_]) -> Pairs:
        return Pairs(self.cosines[chosen], self.same[chosen], 0)


def read_pairs(path: Path) -> list[tuple[str, str, bool]]:
    """The rows of a CSV with the columns first, second (names of photos) and same (1 for one
    person; anything else is two people).

    Raises InvalidRequest for a file that cannot be read or lacks a column, in one of its rows too,
    with fewer than FOLDS rows, or with rows of one kind only.
    """
    rows = []
    try:
        with path.open(newline="") as file:
            for row in (table := csv.DictReader(file)):
                first, second, same = row["first"], row["second"], row["same"]
                if first is None or second is None or same is None:
                    raise InvalidRequest(f"{path}, line {table.line_num}: a column is missing")
                rows.append((first, second, same == "1"))
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from error
    except (KeyError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequest(f"{path} is not a CSV with the columns first, second, same") from error
    if len({same for *_, same in rows}) < 2:
        raise InvalidRequest(f"{path} needs pairs of one person and pairs of two")
    if len(rows) < FOLDS:
        raise InvalidRequest(f"{path} has {len(rows)} pairs, {FOLDS} or more are needed")
    return rows


def photos_of(rows: Iterable[tuple[str, str, bool]]) -> list[str]:
    """The names of the photos in pairs, each once, sorted."""
    return sorted({name for first, second, _ in rows for name in (first, second)})


def measure_pairs(
    engine: FaceEngine,
    rows: list[tuple[str, str, bool]],
    photos: Path,
    advance: Callable[[], object] = lambda: None,
) -> Pairs:
    """Embed the main face of every photo once and compare the pairs.

    rows: of `read_pairs`; names are relative to the folder `photos`. advance: called after each
    photo. The pairs of a photo without a face count, with a similarity of -1. Raises InvalidRequest
    for a photo that cannot be read.
    """
    embeddings: dict[str, Embedding | None] = {}
    for name in photos_of(rows):
        image = read_photo(photos / name)
        faces = engine.analyse_image(image, Options(attributes=False))
        embeddings[name] = main_face(faces, image).embedding if faces else None
        advance()
    return Pairs(
        np.array([cosine(embeddings, first, second) for first, second, _ in rows]),
        np.array([same for *_, same in rows]),
        sum(embedding is None for embedding in embeddings.values()),
    )


def main_face(faces: Sequence[Face], image: Image) -> Face:
    """The main face of a photo, large and near the centre; `faces` is not empty.

    InsightFace's own measure, `max_num=1` of `SCRFD.detect`: the area of the box less twice
    the squared distance of its centre from the photo's, in pixels.
    """
    height, width = image.shape[:2]

    def weight(face: Face) -> float:
        x1, y1, x2, y2 = face.bbox
        off = ((x1 + x2) / 2 - width // 2) ** 2 + ((y1 + y2) / 2 - height // 2) ** 2
        return float((x2 - x1) * (y2 - y1) - 2 * off)

    return max(faces, key=weight)


def cosine(embeddings: Mapping[str, Embedding | None], first: str, second: str) -> float:
    """Cosine of the embeddings of two photos, by name; -1 where one of them is None."""
    a, b = embeddings[first], embeddings[second]
    return -1.0 if a is None or b is None else float(np.dot(a, b))
