"""What `face-service group` does: the faces of a library to people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from face_service.errors import FaceServiceError
from face_service.grouping.linkage import average_linkage, numbered
from face_service.offline.reading import naming
from face_service.offline.results import Results
from face_service.packs.catalog import CATALOG
from face_service.runtime.threads import available_cpus
from face_service.thresholds import GROUP_RATE, similarity_at

Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]

EXACT = 20_000
"""Faces up to which each is compared with every other."""
CELLS_BY_ROOT = 2
"""Cells of the index, by the square root of the number of faces: 2000 of a million, of 500 each."""
LOOKED_AT = 16
"""Cells of the index whose faces are compared with a face (`nprobe` of faiss)."""
TRAINED_ON = 40
"""Faces per cell of which the index learns its cells: faiss asks for 39 at the least."""
NEIGHBOURS = 32
"""Most similar faces of a face that are looked at."""
BATCH = 8192
"""Faces whose neighbours are looked for at once."""
GROWTH = 1.2
"""Factor by which the array of embeddings grows while they are read."""
LARGEST = 16_000
"""Most faces that average linkage takes at once: 0.5 GB, at 2 bytes a pair."""
STEP = 0.05
"""Step of the cosine by which the threshold rises where more than LARGEST faces are connected,
until they fall into smaller parts."""
SAME = 0.95
"""Cosine from which on a part of more than LARGEST faces is not cut any further: its faces are
taken for copies of one picture, and so for one person."""


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces of a library that have an embedding. vectors: float32 [n, dimension], norm 1. int64
    [n]: items: the item's id; frames: the number of the frame in its item, places: of the face in
    its frame, from 0."""

    vectors: Vectors
    items: Numbers
    frames: Numbers
    places: Numbers


def read_faces(results: Results, usable: bool) -> Faces:
    """The faces of a folder that have an embedding. usable: only those that are usable. Raises
    FaceServiceError where there are none, or a part cannot be read."""
    vectors = np.empty((0, results.model["dimension"]), np.float32)
    found, wheres = 0, []
    for table in results.tables(["id", "frames"]):
        for some, where in faces_of_table(table, usable):
            some = some.reshape(-1, vectors.shape[1])
            wheres.append(where)
            if found + len(some) > len(vectors):  # in place: a copy would be as much once more
                vectors.resize(
                    (int(GROWTH * (found + len(some))), vectors.shape[1]), refcheck=False
                )
            vectors[found : found + len(some)] = some
            found += len(some)
    if not found:
        raise FaceServiceError("There is no face with an embedding")
    vectors.resize((found, vectors.shape[1]), refcheck=False)
    return Faces(vectors, *(np.concatenate(each) for each in zip(*wheres, strict=True)))


def faces_of_table(table: Any, usable: bool) -> Any:
    """Yields, for each batch of a part's table that has faces, their embeddings (float32
    [n * dimension]) and items, frames and places as in `Faces`. usable: see `read_faces`. Flattened
    by Arrow, for a million faces as Python objects take too much memory."""
    for batch in table.to_batches():
        frames = batch.column("frames")
        of_frame = pa.compute.list_parent_indices(frames).to_numpy()
        faces = pa.compute.list_flatten(frames).field("faces")
        of_face = pa.compute.list_parent_indices(faces).to_numpy()
        found = pa.compute.list_flatten(faces)
        if not len(found):
            continue
        wanted = found.field("embedding").is_valid().to_numpy(zero_copy_only=False)
        if usable:
            wanted = wanted & found.field("usable").fill_null(False).to_numpy(zero_copy_only=False)
        rows = of_frame[of_face]
        first_frame = np.searchsorted(of_frame, rows)
        first_face = np.searchsorted(of_face, of_face)
        kept = found.field("embedding").filter(pa.array(wanted))
        yield (
            kept.flatten().to_numpy(zero_copy_only=False).astype(np.float32),
            (
                batch.column("id").to_numpy()[rows][wanted],
                (of_face - first_frame)[wanted],
                (np.arange(len(found)) - first_face)[wanted],
            ),
        )


class Pairs(NamedTuple):
    """Pairs of similar faces. first, second: int64 [n], places of faces in `Faces`, the first the
    smaller one. cosines: float32 [n]. A pair may be there twice."""

    first: Numbers
    second: Numbers
    cosines: Vectors

    def among(self, faces: Numbers, count: int) -> Pairs:
        """The pairs of which both are among `faces` (int64 [m], places), renumbered by their places
        in `faces`. count: how many faces there are in all."""
        place = np.full(count, -1, np.int64)
        place[faces] = np.arange(len(faces))
        first, second = place[self.first], place[self.second]
        kept = (first >= 0) & (second >= 0)
        return Pairs(first[kept], second[kept], self.cosines[kept])

    def from_on(self, cosine: float) -> Pairs:
        """The pairs whose cosine is at least so much."""
        kept = self.cosines >= cosine
        return Pairs(self.first[kept], self.second[kept], self.cosines[kept])


def pairs_of(vectors: Vectors, threshold: float, threads: int) -> Pairs:
    """Pairs of a face and one of its NEIGHBOURS most similar ones, where the cosine reaches the
    threshold. Of more than EXACT faces only those in the LOOKED_AT cells nearest to a face are
    looked at (IVF). vectors: as in `Faces`. threads: of faiss."""
    faiss.omp_set_num_threads(threads)
    index = index_of(vectors)
    parts = []
    for start in tqdm(range(0, len(vectors), BATCH), unit="batch", disable=None, leave=False):
        cosines, found = index.search(vectors[start : start + BATCH], NEIGHBOURS + 1)
        rows, columns = np.nonzero((cosines >= threshold) & (found >= 0))
        pairs = Pairs(rows + start, found[rows, columns], cosines[rows, columns])
        parts.append([each[pairs.first < pairs.second] for each in pairs])
        parts.append([each[pairs.first > pairs.second] for each in (pairs[1], pairs[0], pairs[2])])
    return Pairs(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def index_of(vectors: Vectors) -> Any:
    """A faiss index of vectors by inner product: exact up to EXACT of them, beyond that IVF cells
    with float16 numbers."""
    count, dimension = vectors.shape
    if count <= EXACT:
        index: Any = faiss.IndexFlatIP(dimension)
    else:
        cells = int(CELLS_BY_ROOT * count**0.5)
        index = faiss.index_factory(dimension, f"IVF{cells},SQfp16", faiss.METRIC_INNER_PRODUCT)
        index.nprobe = LOOKED_AT
        chance = np.random.default_rng(1)
        index.train(vectors[chance.choice(count, min(count, TRAINED_ON * cells), replace=False)])
    index.add(vectors)
    return index


def group(faces: Faces, threshold: float, threads: int) -> Numbers:
    """The person of each face, int64 [n], numbered from 0 by their first faces.

    Average linkage decides, as in `POST /group`, among faces that are connected by pairs whose
    cosine reaches the threshold. Faces of one frame are never one person's, save in more than
    LARGEST copies of one picture (SAME). threads: of faiss and of average linkage.
    """
    count = len(faces.vectors)
    keys = np.stack([faces.items, faces.frames])
    frames = np.unique(keys, axis=1, return_inverse=True)[1].ravel()
    people, found = np.full(count, -1, np.int64), 0
    with ThreadPoolExecutor(threads) as pool:
        pairs = pairs_of(faces.vectors, threshold, threads)
        for members in components(pairs, count, threshold):
            labels = np.zeros(len(members), np.int64)
            if 1 < len(members) <= LARGEST:
                seen = [[frame] for frame in frames[members].tolist()]
                labels = average_linkage(faces.vectors[members], threshold, seen, pool)
            people[members] = labels + found
            found += int(labels.max()) + 1
    return numbered(people)


def components(pairs: Pairs, count: int, threshold: float) -> Iterator[Numbers]:
    """The faces 0 to `count` - 1 in the parts that pairs connect: int64 [m], places. A part of more
    than LARGEST faces is taken for many people who are alike by chance, and is cut apart: its pairs
    below a higher threshold are left out, step by step up to SAME."""
    graph = coo_matrix((np.ones(len(pairs.first), bool), pairs[:2]), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    order = np.argsort(labels, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        if len(members) <= LARGEST or threshold >= SAME:
            yield members
            continue
        higher = threshold + STEP
        within = pairs.among(members, count).from_on(higher)
        for some in components(within, len(members), higher):
            yield members[some]


@contextmanager
def writing(path: str) -> Iterator[Callable[[Faces, Numbers], None]]:
    """Gives a function that writes `id`, `frame`, `face` and `person` of each face into a Parquet
    file, which is there whole or not at all. Raises FaceServiceError where it cannot be written: at
    the start of the block if nothing can be."""
    part = Path(f"{path}.partial")
    with naming(f"--out {path}"):
        part.touch()

    def write(faces: Faces, people: Numbers) -> None:
        columns = {"id": faces.items, "frame": faces.frames, "face": faces.places, "person": people}
        with naming(f"--out {path}"):
            pyarrow.parquet.write_table(pa.table(columns), part)
            part.replace(path)

    try:
        yield write
    finally:
        part.unlink(missing_ok=True)


def usual_similarity(model: dict[str, Any]) -> float:
    """The cosine from which on `POST /group` joins faces of a model, by the name of its pack.
    Raises FaceServiceError where the catalogue has no such pack, or no measured cosine of it."""
    pack = CATALOG.get(model["pack"])
    usual = similarity_at(GROUP_RATE, pack.operating_points, pack.threshold) if pack else None
    if usual is None:
        raise FaceServiceError(
            f"--similarity is needed: from which on faces of {model['pack']} are one person's is "
            "not known (face-service evaluate measures it)"
        )
    return usual


def run(
    folder: str, out: str, similarity: float | None, usable: bool, say: Callable[[str], object]
) -> int:
    """Group the faces of a folder of `embed` into `out`, a path. similarity: a cosine, None for
    `usual_similarity`. usable: leave out faces that are not. say: called with the totals. Returns
    the exit status, 0. Raises FaceServiceError."""
    results = Results(folder)
    if similarity is None:
        similarity = usual_similarity(results.model)
    with writing(out) as write:
        faces = read_faces(results, usable)
        people = group(faces, similarity, available_cpus())
        write(faces, people)
    sizes = np.bincount(people)
    several = int((sizes > 1).sum())
    say(f"{len(people):,} faces, {len(sizes):,} people, {several:,} of them seen more than once")
    return 0
