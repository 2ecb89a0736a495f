"""The pictures of docs/closer.md, and what each of them cost.

    .venv/bin/python -m benchmarks.studies.closer_pictures

Made of Solvay 1927 (public domain) with the starter pack, one of them with `open`:
docs/images/closer-*.jpg, before on the left or above, after on the right or below. Looks are runs
of the detector; milliseconds CPU time of detection on one thread, the median of three.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args
from unittest.mock import patch

import cv2
import numpy as np

from face_service.engine_factory.builder import Canvases, build_engine
from face_service.face_engine import Face, FaceEngine, Options
from face_service.packs.store import resolve
from face_service.runtime.processor import in_words, processor
from face_service.runtime.providers import CPU
from face_service.vision.alignment import Alignment, align_face
from face_service.vision.blob import Image
from face_service.vision.canvas import Size
from face_service.vision.detector import CLOSEUP
from face_service.vision.draw import draw_face
from tests.photos import ROOT, solvay_photo

IMAGES = ROOT / "docs/images"
LOOK = {"embeddings": False, "attributes": False, "quality": False}
DETECTORS = ("scrfd", "face_detection_yunet")
"""How the names of their networks begin."""
WIDTH = 1000
"""Of a picture on the page."""


def engine(closeup: Size | None, name: str = "starter") -> FaceEngine:
    """A pack, with or without close-ups."""
    pack = resolve(name, Path("models"))
    return build_engine(pack, Canvases((Size(640, 640),), closeup), (CPU,))


def drawn(image: Image, faces: Sequence[Face], thick: int = 0) -> Image:
    """A copy with boxes, wide enough to be seen when it is shrunk."""
    copy = image.copy()
    for face in faces:
        if thick:
            x1, y1, x2, y2 = (round(float(edge)) for edge in face.bbox)
            cv2.rectangle(copy, (x1, y1), (x2, y2), (80, 220, 60), thick)
        else:
            draw_face(copy, face.bbox, face.landmarks, "")
    return copy


def beside(*parts: Image) -> Image:
    """Pictures of one height, with a white line between them."""
    height = min(part.shape[0] for part in parts)
    line = np.full((height, 8, 3), 255, np.uint8)
    made: list[Image] = []
    for part in parts:
        width = round(part.shape[1] * height / part.shape[0])
        shown = cv2.resize(
            np.ascontiguousarray(part), (width, height), interpolation=cv2.INTER_AREA
        )
        made += [shown, line]
    return np.concatenate(made[:-1], axis=1)


def above(*parts: Image) -> Image:
    """Pictures of one width, one above the other."""
    return np.rot90(beside(*(np.rot90(part, -1) for part in reversed(parts))))


def save(name: str, image: Image, width: int = WIDTH) -> None:
    """Write a picture for the page."""
    height = round(image.shape[0] * width / image.shape[1])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(IMAGES / f"closer-{name}.jpg"), small, [cv2.IMWRITE_JPEG_QUALITY, 82])


def milliseconds(call: Callable[[], object]) -> float:
    """CPU time of one call, the median of three."""
    times = []
    for _ in range(3):
        started = time.process_time()
        call()
        times.append((time.process_time() - started) * 1e3)
    return float(np.median(times))


def row(*cells: str) -> None:
    """Print a row of the table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def looks(made: FaceEngine, image: Image, options: Options) -> int:
    """Runs of the detector."""
    runs: list[int] = []
    for network in made.networks:
        if network.name.startswith(DETECTORS):
            network.observer = lambda blob: runs.append(blob.shape[2])
    made.analyse_image(image, options)
    for network in made.networks:
        network.observer = None
    return len(runs)


def compared(
    name: str, made: FaceEngine, image: Image, before: Options, after: Options
) -> tuple[list[Face], list[Face]]:
    """The faces with two sets of options, and a row of the table."""
    first, second = (made.analyse_image(image, options) for options in (before, after))
    a, b = (
        milliseconds(lambda options=options: made.analyse_image(image, options))
        for options in (before, after)
    )
    one, more = (looks(made, image, options) for options in (before, after))
    row(name, f"{len(first)} → {len(second)}", f"{one} → {more}", f"{a:.0f} → {b:.0f}")
    return first, second


def small_faces(made: FaceEngine, photo: Image) -> None:
    """Solvay four times in a panorama, its faces 40 to 60 pixels wide."""
    panorama = np.full((2000, 12_000, 3), 120, np.uint8)
    small = cv2.resize(photo, (1800, 1303), interpolation=cv2.INTER_AREA)
    for place in range(4):
        left = 500 + place * 2900
        panorama[350 : 350 + 1303, left : left + 1800] = small
    plain, auto = Options(**LOOK), Options(**LOOK, detail="auto")
    first, second = compared("`detail=auto`, 12000×2000", made, panorama, plain, auto)
    pair = [drawn(panorama, faces, thick=14) for faces in (first, second)]
    save("small-faces", above(*pair))
    inside = panorama[350:1653, 500:2300]
    compared("`detail=auto`, 4000×3000", made, cv2.resize(photo, (4000, 3000)), plain, auto)
    compared("`detail=auto`, 1920×1080", made, cv2.resize(inside, (1920, 1080)), plain, auto)


def close_ups(photo: Image) -> None:
    """A face that fills the picture: Einstein's."""
    without, made = engine(None), engine(CLOSEUP)
    plain = Options(**LOOK)
    faces = made.analyse_image(photo, plain)
    face = min(faces, key=lambda one: abs(float(one.bbox[0]) - 1500))
    x1, y1, x2, y2 = (int(edge) for edge in face.bbox)
    part = cv2.resize(photo[y1:y2, x1:x2], None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    a, b = (milliseconds(lambda one=one: one.analyse_image(part, plain)) for one in (without, made))
    first, second = without.analyse_image(part, plain), made.analyse_image(part, plain)
    one, more = (looks(each, part, plain) for each in (without, made))
    row(
        "close-up, `starter`",
        f"{len(first)} → {len(second)}",
        f"{one} → {more}",
        f"{a:.0f} → {b:.0f}",
    )
    save("close-ups", beside(drawn(part, first), drawn(part, second)))


def lying(made: FaceEngine, photo: Image) -> None:
    """The middle of the photo on its side."""
    part = np.ascontiguousarray(np.rot90(photo[840:1600, 560:1760], -1))
    options = {**LOOK, "quality": True}
    upright = np.ascontiguousarray(np.rot90(part))
    auto = Options(**options, rotations="auto")
    compared("`rotations=auto`, upright", made, upright, Options(**options), auto)
    first, second = compared(
        "`rotations=auto`, on its side",
        made,
        part,
        Options(**options),
        auto,
    )
    save("rotations", beside(drawn(part, first), drawn(part, second)))


def large_faces(made: FaceEngine, photo: Image) -> None:
    """A face of 800 pixels with noise, cut out both ways."""
    face = made.analyse_image(photo, Options(**LOOK))[0]
    x1, y1, x2, y2 = (int(edge) for edge in face.bbox)
    left, top = x1 - 60, y1 - 60
    part = photo[top : y2 + 60, left : x2 + 60]
    factor = 8
    large = cv2.resize(part, None, fx=factor, fy=factor, interpolation=cv2.INTER_LANCZOS4)
    noise = np.random.default_rng(0).normal(0, 40, large.shape)
    large = np.clip(large + noise, 0, 255).astype(np.uint8)
    points = ((face.landmarks - (left, top) + 0.5) * factor - 0.5).astype(np.float32)
    crops = [align_face(large, points, alignment) for alignment in get_args(Alignment)]
    shown = [cv2.resize(crop, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST) for crop in crops]
    a, b = (
        milliseconds(lambda how=how: align_face(large, points, how))  # type: ignore[misc]
        for how in get_args(Alignment)
    )
    row("`ALIGNMENT=antialiased`, a crop of 800 pixels", "", "", f"{a:.2f} → {b:.2f}")
    save("alignment", beside(*shown))


def one_box(photo: Image) -> None:
    """A face that four tiles cut, to `open`: with its parts and without."""
    part = photo[965 : 965 + 290, 2172 : 2172 + 290]
    large = cv2.resize(part, (1600, 1600), interpolation=cv2.INTER_CUBIC)
    made, options = engine(CLOSEUP, "open"), Options(**LOOK, detail="2")

    def faces() -> list[Face]:
        return made.analyse_image(large, options)

    with patch("face_service.vision.closer.without_cut_parts", lambda found, *_: found):
        first, before = faces(), milliseconds(faces)
    second, after = faces(), milliseconds(faces)
    runs = looks(made, large, options)
    row(
        "one box, `open`, `detail=2`",
        f"{len(first)} → {len(second)}",
        f"{runs} → {runs}",
        f"{before:.0f} → {after:.0f}",
    )
    shown = (drawn(large, each, thick=8) for each in (first, second))
    save("one-box", beside(*shown), width=700)


def which_face(made: FaceEngine, photo: Image) -> None:
    """One face of four, by each order."""
    part = photo[1010:1350, 2220:2830]
    shown = [
        drawn(part, made.analyse_image(part, Options(**LOOK, max_faces=1, order=order)))
        for order in ("score", "size", "center")
    ]
    save("order", beside(*shown))


def main() -> None:
    """Make the pictures and print the table."""
    cv2.setNumThreads(1)
    print(in_words(processor()), end="\n\n")
    photo, made = cv2.imread(str(solvay_photo())), engine(CLOSEUP)
    row("", "faces, before → after", "looks", "CPU ms")
    row("---", "---", "---", "---")
    small_faces(made, photo)
    close_ups(photo)
    lying(made, photo)
    large_faces(made, photo)
    which_face(made, photo)
    one_box(photo)


if __name__ == "__main__":
    main()
