"""What does a crop cut with and without averaging down keep of a face, at every size and noise?

    .venv/bin/python -m benchmarks.studies.alignment [--people 60] [--noises 0 12 25 40]

A photo of each person of ../shared/faces is enlarged (Lanczos) until its face has 200, 400 or 800
pixels, and noise is added, of a standard deviation of so many grey levels a pixel. Its face is cut
out both ways (ALIGNMENT) and embedded: cosine to the embedding of the photo as it is, cosine to
another photo of the person (the mean of three), and how far apart the cosines of one person and of
two people lie: the difference of their means in standard deviations (d'). `both`: the least cosine
of a face cut out one way and the other. Sharpness: of the crop as it is sampled, and as /detect
measures it, from the averaged crop and without what noise adds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import NamedTuple, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import kept
from benchmarks.frames import SHARED
from benchmarks.studies.scenes import SQUARE, THREADS, Candidate, detector
from face_service.packs.pack import sha256_of
from face_service.runtime.network import load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.processor import in_words, processor
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.tools.evaluation import main_face
from face_service.vision.alignment import Alignment, align, align_face
from face_service.vision.arcface import ArcFace
from face_service.vision.blob import ARCFACE_NORMALIZATION, Image
from face_service.vision.noise import crop_noise
from face_service.vision.quality import NO_NOISE, sharpness

RECOGNISERS = {
    "starter": Path("models/starter/fr_feature.onnx"),
    "EdgeFace": SHARED / "models" / "edgeface_xs.onnx",
}
FACES = (200, 400, 800)
"""Pixels of a face's height."""


class Photo(NamedTuple):
    """The part of a photo around its face, the landmarks in it, and the height of the face."""

    image: Image
    landmarks: NDArray[np.float32]
    height: float


def read_photo(find: object, path: Path) -> Photo:
    """The main face of a photo, with half its size around it."""
    image = cv2.imread(str(path))
    found = find.detect(find.preprocess(image))  # type: ignore[attr-defined]
    boxes = [Candidate(box) for box in found.bboxes]
    main = main_face(boxes, image)  # type: ignore[type-var]
    best = next(number for number, box in enumerate(boxes) if box is main)
    x1, y1, x2, y2 = found.bboxes[best]
    left, top = (max(0, int(edge - 0.4 * (y2 - y1))) for edge in (x1, y1))
    right, bottom = (int(edge + 0.4 * (y2 - y1)) for edge in (x2, y2))
    part = np.ascontiguousarray(image[top:bottom, left:right])
    return Photo(part, found.landmarks[best] - (left, top), float(y2 - y1))


def enlarged(photo: Photo, face: int, noise: float, random: np.random.Generator) -> Photo:
    """The photo with a face of so many pixels, and noise."""
    factor = max(1, round(face / photo.height))
    image = cv2.resize(photo.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LANCZOS4)
    if noise:
        grains = random.standard_normal(image.shape, np.float32) * np.float32(noise)
        image = np.clip(np.rint(image + grains), 0, 255).astype(np.uint8)
    landmarks = ((photo.landmarks + 0.5) * factor - 0.5).astype(np.float32)
    return Photo(image, landmarks, photo.height * factor)


def recogniser(path: Path) -> Callable[[list[Image]], NDArray[np.float32]]:
    """What embeds crops."""
    (network,) = load_networks(
        [NetworkSpec(path, sha256_of(path), ((112, 112),))], (CPU,), RuntimeConfig(THREADS)
    )
    return ArcFace(network, ARCFACE_NORMALIZATION).embed


def noise_of(photo: Photo) -> tuple[float, ...]:
    """What noise adds to the detail of a photo's averaged crop."""
    aligned = align(photo.image, photo.landmarks, "antialiased")
    return crop_noise(aligned.image, aligned.matrix) if aligned else NO_NOISE


def apart(same: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """How far apart two sets of cosines lie, in standard deviations."""
    return float((same.mean() - other.mean()) / np.sqrt((same.var() + other.var()) / 2))


def main() -> None:
    """Print the table and write it to benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--noises", type=float, nargs="+", default=(0, 12, 25, 40))
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    find = detector("det_2.5g", (SQUARE,))
    people = sorted((SHARED / "faces" / "lfw").iterdir())[: arguments.people]
    photos = [[read_photo(find, path) for path in sorted(one.glob("*.jpg"))] for one in people]
    embed = {name: recogniser(path) for name, path in RECOGNISERS.items()}
    as_they_are = {
        name: np.stack([call([align_face(*one[:2]) for one in of]) for of in photos])
        for name, call in embed.items()
    }
    columns = [f"{name}, {how}" for name in embed for how in get_args(Alignment)]
    print("Cosine to the photo as it is (the least) / to the person's other photos / d'\n")
    print("| face px | noise |", *(f"{column} |" for column in columns), "both |", "sharpness |")
    print("|---|---|" + "---|" * (len(columns) + 2))
    table = []
    for face, noise in product(FACES, arguments.noises):
        random = np.random.default_rng(0)
        large = [enlarged(of[0], face, noise, random) for of in photos]
        row: dict[str, object] = {"face": face, "noise": noise}
        cells, detail, ways = [], dict[str, float](), dict[tuple[str, str], NDArray[np.float32]]()
        for name, how in product(embed, get_args(Alignment)):
            crops = [align_face(*one[:2], how) for one in large]
            found = embed[name](crops)
            own = (found * as_they_are[name][:, 0]).sum(axis=1)
            others = np.einsum("pd,qnd->pqn", found, as_they_are[name][:, 1:])
            mine = np.eye(len(found), dtype=bool)
            same, two = others[mine].ravel(), others[~mine].ravel()
            values = (own.mean(), own.min(), same.mean(), apart(same, two))
            row[f"{name}, {how}"] = [float(value) for value in values]
            cells.append("{:.4f} ({:.4f}) / {:.3f} / {:.2f}".format(*values))
            ways[name, how] = found
            greys = [cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY) for crop in crops]
            less = [NO_NOISE if how == "insightface" else noise_of(one) for one in large]
            detail[how] = float(np.mean(list(map(sharpness, greys, less))))
        both = [
            float((ways[name, "insightface"] * ways[name, "antialiased"]).sum(axis=1).min())
            for name in embed
        ]
        row["both"], row["sharpness"] = both, detail
        cells.append(" / ".join(f"{value:.4f}" for value in both))
        cells.append(" / ".join(f"{value:.2f}" for value in detail.values()))
        print(f"| {face} | {noise:g} |", *(f"{cell} |" for cell in cells), flush=True)
        table.append(row)
    kept.write("alignment", {"people": len(people), "rows": table})


if __name__ == "__main__":
    main()
