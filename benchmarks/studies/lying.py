"""How right is `rotations=auto` on photos of one person that lie on their side or are upside down?

    .venv/bin/python -m benchmarks.studies.lying [--packs starter open] [--photos 60]

Photos of ../shared/faces, turned by 90, 180 and 270 degrees without a tag, and the main face of
each. Right means: found, with the angle by which the photo was turned. The cosine is to the photo
as it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.frames import SHARED
from face_service.config import load_settings
from face_service.engine_factory import load_engine, runtime_config
from face_service.face_engine import Face, FaceEngine, Options
from face_service.runtime.processor import in_words, processor
from face_service.tools.evaluation import main_face
from face_service.vision.blob import Image

AUTO = Options(attributes=False, rotations="auto")
NONE = replace(AUTO, rotations="none")


def engine(pack: str) -> FaceEngine:
    """A pack as the service loads it, on one thread."""
    settings = load_settings(insightface_model=pack, det_gate="off", intra_op_threads=1, workers=1)
    return load_engine(settings, runtime_config(settings))


def main_one(made: FaceEngine, image: Image, options: Options) -> Face | None:
    """The main face."""
    faces = made.analyse_image(image, options)
    return main_face(faces, image) if faces else None


def row(pack: str, made: FaceEngine, photos: Sequence[Image]) -> str:
    """A row of the table."""
    turned_upright = fooled = right = 0
    cosines = []
    for photo in photos:
        as_it_is = main_one(made, photo, NONE)
        assert as_it_is is not None and as_it_is.embedding is not None
        upright = main_one(made, photo, AUTO)
        turned_upright += upright is None or upright.rotation != 0
        for turns in (1, 2, 3):
            lying = np.ascontiguousarray(np.rot90(photo, turns))
            plain = main_one(made, lying, NONE)
            fooled += plain is not None and plain.usable is True
            found = main_one(made, lying, AUTO)
            if found is not None and found.rotation == 90 * turns and found.embedding is not None:
                right += 1
                cosines.append(float(found.embedding @ as_it_is.embedding))
    count, values = 3 * len(photos), np.array(cosines)
    return (
        f"| `{pack}` | {fooled} of {count} | {right} of {count} | {quantiles(values)} | "
        f"{turned_upright} of {len(photos)} |"
    )


def quantiles(values: NDArray[np.float64]) -> str:
    """The median, and the least."""
    return f"{np.median(values):.3f} ({values.min():.3f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packs", nargs="+", default=["starter", "open"])
    parser.add_argument("--photos", type=int, default=60)
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    cv2.setNumThreads(1)
    people = sorted((SHARED / "faces" / "lfw").iterdir())[: arguments.photos]
    photos = [cv2.imread(str(min(folder.glob("*.jpg")))) for folder in people]
    print("| pack | lying, `none`: usable all the same | lying, `auto`: right | ", end="")
    print("cosine, median (least) | upright, `auto`: turned |\n|---|---|---|---|---|")
    for pack in arguments.packs:
        print(row(pack, engine(pack), photos), flush=True)


if __name__ == "__main__":
    main()
