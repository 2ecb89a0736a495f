"""How long `face-service group` takes, and how well it tells people apart.

    .venv/bin/python -m benchmarks.library [--faces 100000] [--lfw ../shared/faces/lfw]

First faces that are made up, ten of a person, about 0.6 like each other, each on a photo of its
own, in parts as `embed` writes them: the seconds of the whole command, and precision and recall of
pairs. Then photos of real people, a folder each, with the starter pack: the largest face of each
photo.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from face_service.config import load_settings
from face_service.engine_factory import load_engine, runtime_config
from face_service.offline.manifest import Item, parts_of
from face_service.offline.output import Folder
from face_service.offline.people import usual_similarity
from face_service.offline.schema import table
from face_service.runtime.processor import in_words, processor
from face_service.vision.image import decode
from tests.offline.faces import MODEL, face, photo

OF_A_PERSON = 10
NOISE = 0.8
BLOCK = 50_000
ROWS = 64
"""Items of a part: the default of `embed`."""
COMMAND = Path(sys.executable).with_name("face-service")
Labels = NDArray[np.int64]
Vectors = NDArray[np.float32]


def rates(found: Labels, true: Labels) -> tuple[float, float]:
    """Precision and recall of pairs: of those that are together, and of those that should be."""

    def pairs(counts: Labels) -> float:
        return float((counts.astype(np.float64) * (counts - 1) / 2).sum())

    both = np.unique(np.stack([found, true]), axis=1, return_counts=True)[1]
    right = pairs(both)
    return right / pairs(np.bincount(found)), right / pairs(np.bincount(true))


def made_up(count: int) -> tuple[Vectors, Labels]:
    """Embeddings, and whose they are."""
    chance = np.random.default_rng(1)
    people = chance.integers(0, max(1, count // OF_A_PERSON), count)
    centres = unit(chance.standard_normal((people.max() + 1, 512), np.float32))
    vectors = np.empty((count, 512), np.float32)
    for start in range(0, count, BLOCK):
        some = centres[people[start : start + BLOCK]]
        noise = unit(chance.standard_normal(some.shape, np.float32))
        vectors[start : start + BLOCK] = unit(some + np.float32(NOISE) * noise)
    return vectors, people


def unit(vectors: Vectors) -> Vectors:
    """Vectors of norm 1."""
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def photos(folder: Path) -> tuple[Vectors, Labels, float]:
    """The largest face of each photo, whose it is, and the pack's similarity."""
    settings = load_settings(insightface_model="starter")
    engine = load_engine(settings, runtime_config(settings))
    vectors, people = [], []
    for number, person in enumerate(sorted(each for each in folder.iterdir() if each.is_dir())):
        for path in sorted(person.glob("*.jpg")):
            faces = engine.analyse_image(decode(path.read_bytes(), settings.max_image_pixels))
            sized = [face for face in faces if face.embedding is not None]
            if sized:
                largest = max(sized, key=lambda face: float(face.bbox[2] - face.bbox[0]))
                vectors.append(largest.embedding)
                people.append(number)
    return np.array(vectors), np.array(people), usual_similarity({"pack": engine.info.pack})


def write(folder: Path, vectors: Vectors) -> None:
    """Parts as `embed` writes them: photos of a face each."""
    about = {"model": MODEL, "options": {}}
    out = Folder(str(folder))
    out.agree(about)
    for part in parts_of([Item(n, f"{n}.jpg") for n in range(len(vectors))], ROWS, about):
        rows = [photo(item, [face(vectors[item.id])]) for item in part.items]
        out.write(part, table(rows, vectors.shape[1], about))


def grouped(folder: Path, similarity: float) -> tuple[Labels, float, float]:
    """The people of a folder, wall seconds, and seconds of processors, of the command."""
    out = folder.with_name("people.parquet")
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    words = [COMMAND, "group", folder, "--out", out, "--similarity", str(similarity)]
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    computed = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return pq.read_table(out)["person"].to_numpy(), wall, computed


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--lfw", type=Path, default=Path("../shared/faces/lfw"))
    options = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    print("| faces | people | found | similarity | precision | recall | s | s of processors |")
    print("|---|---|---|---|---|---|---|---|")
    cases = [("made up", *made_up(options.faces), 0.4)] if options.faces else []
    if options.lfw.is_dir():
        cases.append(("LFW", *photos(options.lfw)))
    for name, vectors, people, similarity in cases:
        with TemporaryDirectory() as scratch:
            write(Path(scratch) / "faces", vectors)
            found, wall, computed = grouped(Path(scratch) / "faces", similarity)
        precision, recall = rates(found, people)
        print(
            f"| {len(vectors):,}, {name} | {len(np.unique(people)):,} | {found.max() + 1:,} "
            f"| {similarity:.2f} | {precision:.4f} | {recall:.4f} | {wall:.0f} | {computed:.0f} |",
            flush=True,
        )
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"\nmost memory of the command: {most / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
