"""One pack measured in a process of its own: accuracy, speed, memory.

`python -m face_service.tools.pack_trial` is that process: its requests are lines of JSON, see
`PackProcess`.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from face_service.runtime.child_process import answer_stream, requests, write_answer
from face_service.thresholds import measured_similarity
from face_service.tools.bench.server import peak_rss_mb
from face_service.tools.measuring import MeasuringProcess, measuring_process

if TYPE_CHECKING:
    from face_service.face_engine import FaceEngine

TIMED = 12
"""Most photos that are analysed for one measurement of the speed."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A pack measured on pairs of photos.

    files: name by role. megabytes: of its networks, in 10^6 bytes. dimension: of its embeddings.
    fingerprint: see `vision.fingerprint`. threshold: its own, and accuracy, false_match and
    false_non_match there, shares from 0 to 1; None where it has none. best_threshold,
    best_accuracy, cross_validated: see `Pairs`. same, different: cosines of the pairs of one person
    and of two.
    """

    pack: str
    precision: str
    licence: str
    files: dict[str, str]
    megabytes: float
    dimension: int
    fingerprint: str
    photos: int
    without_face: int
    threshold: float | None
    accuracy: float | None
    false_match: float | None
    false_non_match: float | None
    best_threshold: float
    best_accuracy: float
    cross_validated: float
    same: list[float]
    different: list[float]


class PackProcess:
    """A child process that measures one pack. Its methods raise StartupError where the process has
    ended; it has said why on stderr."""

    def __init__(self, process: MeasuringProcess) -> None:
        self._process = process

    def accuracy(self, model: str, pairs: Path, photos: Path) -> Accuracy:
        """Load a pack, by its name or folder, and measure it; to be called once, before
        `milliseconds`. pairs: see `read_pairs`. photos: the folder of the photos."""
        request = {"model": model, "pairs": str(pairs), "photos": str(photos)}
        return Accuracy(**self._process.ask(request))

    def milliseconds(self) -> float:
        """Median time of analysing one of the photos, over at most TIMED of them."""
        return float(self._process.ask({})["ms"])

    @property
    def megabytes(self) -> float | None:
        """Peak of its memory in 10^6 bytes; None where that cannot be known."""
        return peak_rss_mb(self._process.pid)


@contextmanager
def pack_process() -> Iterator[PackProcess]:
    """A process for one pack, which ends with the block."""
    with measuring_process("face_service.tools.pack_trial", "the pack") as process:
        yield PackProcess(process)


def main() -> int:
    """Answer the requests on stdin until it ends. Returns the exit status: 2, with the reason on
    stderr, where the pack cannot be measured."""
    answers, asked = answer_stream(), requests()
    request = next(asked, None)
    if request is None:  # another pack has failed before
        return 0
    from face_service.errors import FaceServiceError
    from face_service.tools.evaluation import photos_of, read_pairs
    from face_service.tools.photos import read_photo

    try:
        rows, folder = read_pairs(Path(request["pairs"])), Path(request["photos"])
        engine, found = measure(request["model"], rows, folder)
    except FaceServiceError as error:
        sys.stderr.write(f"face-service: {request['model']}: {error}\n")
        return 2
    write_answer(answers, asdict(found))
    names = photos_of(rows)
    images = [read_photo(folder / name) for name in names[:: max(1, len(names) // TIMED)][:TIMED]]
    for _ in asked:
        taken = []
        for image in images:
            started = time.perf_counter()
            engine.analyse_image(image)
            taken.append((time.perf_counter() - started) * 1e3)
        write_answer(answers, {"ms": statistics.median(taken)})
    return 0


def measure(
    model: str, rows: list[tuple[str, str, bool]], folder: Path
) -> tuple[FaceEngine, Accuracy]:
    """Load a pack, by its name or folder, and measure it on `rows` (of `read_pairs`), whose photos
    are in `folder`. Raises FaceServiceError where the pack does not load, a photo cannot be read,
    or all pairs have the same similarity."""
    from face_service.config import load_settings
    from face_service.engine_factory import load_engine, runtime_config
    from face_service.tools.evaluation import measure_pairs, photos_of

    settings = load_settings(insightface_model=model)
    engine = load_engine(settings, runtime_config(settings))
    measured = measure_pairs(engine, rows, folder)
    info, best = engine.info, measured.best_threshold()
    own = measured_similarity(info.threshold)
    return engine, Accuracy(
        pack=info.pack,
        precision=info.precision,
        licence=info.licence,
        files={file.role: file.file for file in info.files},
        megabytes=size_of(model, settings.model_cache_dir),
        dimension=info.dimension,
        fingerprint=info.fingerprint or "",
        photos=len(photos_of(rows)),
        without_face=measured.without_face,
        threshold=own,
        accuracy=None if own is None else measured.accuracy(own),
        false_match=None if own is None else measured.false_match_rate(own),
        false_non_match=None if own is None else measured.false_non_match_rate(own),
        best_threshold=best,
        best_accuracy=measured.accuracy(best),
        cross_validated=measured.cross_validated_accuracy(),
        same=np.round(measured.cosines[measured.same], 4).tolist(),
        different=np.round(measured.cosines[~measured.same], 4).tolist(),
    )


def size_of(model: str, cache_dir: Path) -> float:
    """Size of the files of a pack's networks, in 10^6 bytes. Raises PackError as `resolve` does."""
    from face_service.packs.store import resolve

    models = resolve(model, cache_dir).models.values()
    return sum(one.path.stat().st_size for one in models) / 1e6


if __name__ == "__main__":
    sys.exit(main())
