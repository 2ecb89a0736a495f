"""How right and how fast is POST /group?

    .venv/bin/python -m benchmarks.studies.grouping [PACK …]     # starter if left out

Three measures, of the functions the endpoint calls: pairwise precision and recall on the photos of
../shared/faces, each a face on its own, by `group_similarity`, and the same with people who are not
in the set added (synthetic, so that there are thousands of strangers); CPU seconds of 10,000 faces,
from 10,000 people to one, with one good picture that is the nearest of all others, and in videos
from one face a frame to all in one frame.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from face_service.config import load_settings
from face_service.engine_factory import load_engine, runtime_config
from face_service.grouping.faces import Faces, Vectors
from face_service.grouping.grouping import GroupOptions, group
from face_service.runtime.processor import in_words, processor
from face_service.tools.operating_points import embed_people, people_in

PHOTOS = Path("../shared/faces/lfw")
SIMILARITIES = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
MANY = 10_000

Labels = NDArray[np.int64]


def alone(vectors: Vectors) -> Faces:
    """Faces of which nothing else is known."""
    n = len(vectors)
    return Faces(
        vectors,
        np.full(n, np.nan),
        np.full((n, 4), np.nan, np.float32),
        np.full(n, np.nan, np.float32),
        np.zeros(n, np.int64),
    )


def labels_of(faces: Faces, similarity: float, track: float, pool: ThreadPoolExecutor) -> Labels:
    """The group of each face."""
    found = group(faces, GroupOptions(similarity, track), pool)
    labels = np.empty(len(faces), np.int64)
    for number, one in enumerate(found.groups):
        labels[one.faces] = number
    return labels


def pairs(counts: Iterable[int]) -> int:
    """Pairs within groups of such sizes."""
    return sum(count * (count - 1) // 2 for count in counts)


def precision_and_recall(labels: Labels, person: Labels) -> tuple[float, float]:
    """Of the pairs of faces in one group, and of those of one person: shares that are both."""
    both = pairs(Counter(zip(labels.tolist(), person.tolist(), strict=True)).values())
    grouped, true = (
        pairs(Counter(labels.tolist()).values()),
        pairs(Counter(person.tolist()).values()),
    )
    return both / max(1, grouped), both / max(1, true)


def synthetic(
    vectors: Vectors, person: Labels, people: int, each: int, random: np.random.Generator
) -> tuple[Vectors, Labels]:
    """People with the covariance of real ones, and photos that differ as theirs do, in random
    order. Half of each covariance is spread over all directions, as 60 people do not span them."""
    means = np.stack([vectors[person == one].mean(axis=0) for one in np.unique(person)])
    dimension = vectors.shape[1]

    def draw(deviations: NDArray[np.float32], count: int) -> NDArray[np.float64]:
        values, directions = np.linalg.eigh(np.cov(deviations.T))
        spread = np.sqrt(0.5 * values.clip(0) + 0.5 * values.clip(0).mean())
        return (random.standard_normal((count, dimension)) * spread) @ directions.T

    centres = means.mean(axis=0) + draw(means - means.mean(axis=0), people)
    within = np.sqrt(4 / 3) * draw(vectors - means[person], people * each)
    found = np.repeat(centres, each, axis=0) + within
    order = random.permutation(people * each)
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit[order].astype(np.float32), np.repeat(np.arange(people), each)[order]


def around_good_pictures(people: int, each: int, random: np.random.Generator) -> Vectors:
    """Photos of very different quality: those of a person are nearest to the best of them."""
    centres = np.repeat(random.standard_normal((people, 512)), each, axis=0)
    noise = np.exp(random.normal(-0.2, 0.6, (people * each, 1)))
    found = centres + noise * random.standard_normal((people * each, 512))
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    return random.permutation(unit).astype(np.float32)


def in_videos(vectors: Vectors, person: Labels) -> Faces:
    """The same faces in order of people, a frame each second, 20 frames a shot."""
    order = np.argsort(person, kind="stable")
    faces = alone(vectors[order])
    place = np.arange(len(vectors))
    return Faces(
        faces.embeddings,
        (place % 1000).astype(float),
        np.tile(np.array([10, 10, 110, 130], np.float32), (len(vectors), 1)),
        faces.quality,
        place // 1000,
    )


def in_frames(vectors: Vectors, each: int, seconds: float) -> Faces:
    """Of one source, so many in a frame, all in one place."""
    faces = alone(vectors)
    box = np.array([10, 10, 110, 130], np.float32)
    frame = np.arange(len(vectors)) // each
    return Faces(
        vectors, frame * seconds, np.tile(box, (len(vectors), 1)), faces.quality, faces.sources
    )


def shapes(
    vectors: Vectors, person: Labels, random: np.random.Generator
) -> Iterator[tuple[str, Faces]]:
    """MANY faces, in every way that takes its own time."""
    for people in (10_000, 2_000, 500, 50, 10, 1):
        made, of = synthetic(vectors, person, people, MANY // people, random)
        yield f"{people:,} people, {MANY // people:,} faces each", alone(made)
        if people == 500:
            yield "the same as videos, a frame a second", in_videos(made, of)
    for people in (20, 1):
        made = around_good_pictures(people, MANY // people, random)
        yield f"{people} people, each around one good picture", alone(made)
    strangers, _ = synthetic(vectors, person, MANY, 1, random)
    one, _ = synthetic(vectors, person, 1, MANY, random)
    for who, made in (("strangers", strangers), ("one person", one)):
        yield f"{who}, a frame each 10 ms", in_frames(made, 1, 0.01)
        yield f"{who}, 500 in a frame", in_frames(made, 500, 1)
        yield f"{who}, 10 in a frame, frames 10 s apart", in_frames(made, 10, 10)
        yield f"{who}, all in one frame", in_frames(made, MANY, 1)


def timed(
    name: str, faces: Faces, similarity: float, track: float, pool: ThreadPoolExecutor
) -> None:
    """One line: how long a grouping takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    labels = labels_of(faces, similarity, track, pool)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"  {name:<44} {labels.max() + 1:>6,} groups  {cpu:5.2f} s CPU  {wall:5.2f} s wall")


def study(pack: str, pool: ThreadPoolExecutor) -> None:
    settings = load_settings(insightface_model=pack)
    engine = load_engine(settings, runtime_config(settings))
    vectors, person = embed_people(engine, people_in(PHOTOS))
    points = engine.info.operating_points
    print(f"\n{engine.info.pack}: {len(vectors)} photos of {person.max() + 1} people")
    random = np.random.default_rng(0)
    strangers, _ = synthetic(vectors, person, 3000, 1, random)
    crowd = np.concatenate([vectors, strangers])
    of_crowd = np.concatenate([person, person.max() + 1 + np.arange(len(strangers))])
    print("  similarity  precision  recall   with 3,000 strangers: precision  recall")
    chosen = (points.similarity_at(0.0001),) if points else ()
    for similarity in sorted({*SIMILARITIES, *(one for one in chosen if one is not None)}):
        few = precision_and_recall(labels_of(alone(vectors), similarity, 0, pool), person)
        many = precision_and_recall(labels_of(alone(crowd), similarity, 0, pool), of_crowd)
        mark = "  the default" if similarity in chosen else ""
        print(
            f"  {similarity:>10.3f}  {few[0]:>9.4f}  {few[1]:.4f}   "
            f"{many[0]:>31.4f}  {many[1]:.4f}{mark}"
        )
    least = (chosen and chosen[0]) or 0.4
    track = (points and points.similarity_at(0.01)) or least
    for name, faces in shapes(vectors, person, random):
        timed(name, faces, least, track, pool)


def main() -> None:
    print(in_words(processor()))
    with ThreadPoolExecutor(2) as pool:
        for pack in sys.argv[1:] or ["starter"]:
            study(pack, pool)


if __name__ == "__main__":
    main()
