"""What `face-service embed` does: a manifest in, a folder of Parquet out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from tqdm import tqdm

from face_service.config import Settings
from face_service.engine_factory import find_pack
from face_service.engine_info import EngineInfo
from face_service.face_engine import Options
from face_service.offline import INTERRUPTED
from face_service.offline.analyser import Task
from face_service.offline.frames import find_frames
from face_service.offline.isolation import Processes
from face_service.offline.manifest import (
    Item,
    Part,
    folder_of,
    parts_of,
    read_manifest,
    shard_of,
)
from face_service.offline.output import Folder
from face_service.offline.schema import SCHEMA_VERSION, Outcome, table
from face_service.runtime.providers import CPU
from face_service.runtime.threads import available_cpus
from face_service.serialization import render_model

PROCESSES_ON_A_CARD = 2
"""One decodes while the other computes."""


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of a run.

    manifest, out: absolute paths, or addresses that fsspec knows. rows: items of a part. shard:
    which of how many, from 0. processes: 0 for one per processor, on a card PROCESSES_ON_A_CARD.
    timeout: seconds an item may take. every_s: seconds of an interval, of which one frame of a
    video is taken each.
    """

    settings: Settings
    options: Options
    manifest: str
    out: str
    rows: int = 64
    shard: tuple[int, int] = (0, 1)
    processes: int = 0
    timeout: float = 300
    every_s: float = 1

    @property
    def count(self) -> int:
        """How many processes embed."""
        on_cpu = self.settings.onnx_providers == (CPU,)
        return self.processes or (available_cpus() if on_cpu else PROCESSES_ON_A_CARD)

    @property
    def task(self) -> Task:
        """What each process does: on one thread, as on a CPU there is a process per processor."""
        alone = self.settings.model_copy(update={"intra_op_threads": 1, "workers": 1})
        return Task(alone, self.options, folder_of(self.manifest), self.every_s)

    def about(self, info: EngineInfo) -> dict[str, Any]:
        """What the rows depend on beside their items, as JSON: `schema`, `model` and `options`. All
        of it must be the same in every run into one folder."""
        return {
            "schema": SCHEMA_VERSION,
            "model": {**render_model(info), "dimension": info.dimension},
            "options": {**asdict(self.options), "every_s": self.every_s},
        }


@dataclass(slots=True)
class Tally:
    """The counts of a run: items, faces of all of them, failed items, and these by code."""

    items: int = 0
    faces: int = 0
    failed: int = 0
    codes: dict[str, int] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Count an item in."""
        self.items += 1
        self.faces += outcome.faces
        if outcome.failure:
            self.failed += 1
            self.codes[outcome.failure.code] = self.codes.get(outcome.failure.code, 0) + 1

    def merge(self, other: Tally) -> None:
        """Add another tally."""
        self.items += other.items
        self.faces += other.faces
        self.failed += other.failed
        for code, count in other.codes.items():
            self.codes[code] = self.codes.get(code, 0) + count

    def __str__(self) -> str:
        text = f"{self.items:,} items, {self.faces:,} faces"
        if self.failed:
            why = ", ".join(f"{count:,} {code}" for code, count in sorted(self.codes.items()))
            text += f"; {self.failed:,} failed: {why}"
        return text


def run(request: Request, say: Callable[[str], object]) -> int:
    """Embed a shard. say: called in the end with a line that has the counts. Returns the exit
    status: 0, 1 where an item failed in this run, INTERRUPTED after Ctrl-C.

    Raises FaceServiceError where the manifest, the pack, a reader for its videos or the folder is
    missing, unreadable or does not fit, and StartupError where no engine can be loaded.
    """
    tally = Tally()
    try:
        items = read_manifest(request.manifest)
        check_requirements(request.settings, items)
        with Processes(request.task, request.count, request.timeout) as processes:
            about = request.about(processes.describe())
            folder = Folder(request.out)
            folder.agree(about)
            parts = parts_of(items, request.rows, about)
            chosen = shard_of(parts, *request.shard)
            missing = folder.missing(chosen, parts)
            embed_parts(processes, folder, missing, about, bar(chosen, missing), tally)
    except KeyboardInterrupt:
        say(f"Interrupted: the same command goes on. {tally}")
        return INTERRUPTED
    say(f"{tally}; {count_items(chosen) - count_items(missing):,} before")
    return int(tally.failed > 0)


def check_requirements(settings: Settings, items: Sequence[Item]) -> None:
    """Check, before processes start, that something reads videos if there are any, and that the
    pack is there; fetch it if it is absent. Raises FaceServiceError."""
    if any(item.is_video for item in items):
        find_frames()
    find_pack(settings)


def embed_parts(
    processes: Processes,
    folder: Folder,
    parts: Sequence[Part],
    about: dict[str, Any],
    progress: tqdm[Any],
    tally: Tally,
) -> None:
    """Embed parts, count their items in `tally` and on the bar, and write each part when its last
    item is done, while the next one is computed. about: see `Request.about`. Raises
    FaceServiceError where a part cannot be written, StartupError as `Processes.embed` does."""
    dimension = about["model"]["dimension"]
    outcomes = processes.embed([item for part in parts for item in part.items])
    writing: Future[None] | None = None

    def write(part: Part, rows: Sequence[Outcome]) -> None:
        folder.write(part, table(rows, dimension, about))

    with progress, ThreadPoolExecutor(1) as writer:
        for part in parts:
            rows = []
            for _ in part.items:
                rows.append(next(outcomes))
                tally.add(rows[-1])
                progress.set_postfix(faces=tally.faces, failed=tally.failed, refresh=False)
                progress.update()
            if writing:
                writing.result()
            writing = writer.submit(write, part, rows)
        if writing:
            writing.result()


def bar(chosen: Sequence[Part], missing: Sequence[Part], disable: bool = False) -> tqdm[Any]:
    """A progress bar of items, with rate and time left: on a terminal drawn all the time, in a log
    each half minute. disable: draw none."""
    total = count_items(chosen)
    return tqdm(
        total=total,
        initial=total - count_items(missing),
        unit="item",
        dynamic_ncols=True,
        mininterval=0.2 if sys.stderr.isatty() else 30,
        leave=False,
        disable=disable,
    )


def count_items(parts: Sequence[Part]) -> int:
    """Items of parts."""
    return sum(len(part.items) for part in parts)
