"""One pack measured in a process of its own: accuracy, speed, memory.

`python -m face_service.tools.pack_trial` is that process: its requests are lines of JSON, see
`PackProcess`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from face_service.errors import StartupError
from face_service.runtime.child_process import (
    answer_stream,
    python_module,
    requests,
    write_answer,
)
from face_service.tools.bench.server import peak_rss_mb

TIMED = 12
"""Photos that are analysed for the speed."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What pairs of photos say of a pack. threshold: its own, None where it has none. same,
    different: cosines of the pairs of one person and of two."""

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
    """A process that has one pack loaded. pid: its id."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._stdin, self._stdout = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
        self.pid = process.pid

    def accuracy(self, model: str, pairs: Path, photos: Path) -> Accuracy:
        """Load a pack and measure it on pairs; the first request."""
        request = {"model": model, "pairs": str(pairs), "photos": str(photos)}
        return Accuracy(**self._ask(request))

    def milliseconds(self) -> float:
        """The time that it takes for a photo, a median of TIMED."""
        return float(self._ask({})["ms"])

    @property
    def megabytes(self) -> float | None:
        """The most memory that it has had, in 10^6 bytes; None where that cannot be known."""
        return peak_rss_mb(self.pid)

    def _ask(self, what: object) -> dict[str, Any]:
        try:
            print(json.dumps(what), file=self._stdin, flush=True)
            line = self._stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:  # its stderr is ours: the reason is there
            raise StartupError("the pack cannot be measured, its process has ended")
        return dict(json.loads(line))


@contextmanager
def pack_process() -> Iterator[PackProcess]:
    """A process for one pack, which ends with the block."""
    command = python_module("face_service.tools.pack_trial")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield PackProcess(process)
        finally:
            cast(IO[str], process.stdin).close()


def main() -> int:
    """Answer the requests on stdin until it ends."""
    answers = answer_stream()
    asked = requests()
    request = next(asked, None)
    if request is None:  # another pack has failed before
        return 0
    from face_service.config import load_settings
    from face_service.engine_factory import load_engine, runtime_config
    from face_service.errors import FaceServiceError
    from face_service.tools.evaluation import measure_pairs, read_pairs
    from face_service.tools.photos import read_photo

    try:
        settings = load_settings(insightface_model=request["model"])
        photos = Path(request["photos"])
        rows = read_pairs(Path(request["pairs"]))
        engine = load_engine(settings, runtime_config(settings))
        measured = measure_pairs(engine, rows, photos)
    except FaceServiceError as error:
        sys.stderr.write(f"face-service: {request['model']}: {error}\n")
        return 2
    names = sorted({name for first, second, _ in rows for name in (first, second)})
    info, best = engine.info, measured.best_threshold()
    own = info.threshold.similarity if info.threshold and info.threshold.measured_on else None
    found = Accuracy(
        pack=info.pack,
        precision=info.precision,
        licence=info.licence,
        files={file.role: file.file for file in info.files},
        megabytes=size_of(request["model"], settings.model_cache_dir),
        dimension=info.dimension,
        fingerprint=info.fingerprint or "",
        photos=len(names),
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
    write_answer(answers, asdict(found))
    images = [read_photo(photos / name) for name in names[:: max(1, len(names) // TIMED)][:TIMED]]
    for _ in asked:
        taken = []
        for image in images:
            started = time.perf_counter()
            engine.analyse_image(image)
            taken.append((time.perf_counter() - started) * 1e3)
        write_answer(answers, {"ms": statistics.median(taken)})
    return 0


def size_of(model: str, cache_dir: Path) -> float:
    """Megabytes of the networks of a pack, in 10^6 bytes."""
    from face_service.packs.store import resolve

    models = resolve(model, cache_dir).models.values()
    return sum(one.path.stat().st_size for one in models) / 1e6


if __name__ == "__main__":
    sys.exit(main())
