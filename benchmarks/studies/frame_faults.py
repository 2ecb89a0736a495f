"""What interlacing and starved JPEGs do to faces, and what refusing such faces does.

    .venv/bin/python -m benchmarks.studies.frame_faults [--photos 40]

Photos of ../shared/faces are brought to several sizes, and then combed, odd rows from a moment
later, or compressed, by libjpeg's tables and by those of FFmpeg. Two recognisers look at them, as
in quality.py: the similarity to the same photo at the same size, before that, against `combing`
and `compression`. Then each spoilt photo is compared with another photo of its person, at the
packs' own thresholds. Writes benchmarks/results/CLASS/frame_faults.json.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image as Pillow

from benchmarks.studies.degrade import Photo, Random
from benchmarks.studies.eyes import PHOTOS, THRESHOLDS, Eyes, Seen
from benchmarks.studies.quality import KEPT, Signal, curve, shown, write
from face_service.runtime.processor import in_words, processor
from face_service.vision.blob import Image
from face_service.vision.image import decode
from face_service.vision.quantisation import luminance_step

COMBED_SIDES = (48, 95, 190)
SHIFTS = (0.02, 0.04, 0.055, 0.08, 0.16)
"""Between the two moments, in widths of the face: 8 pixels of 100 are 0.08."""
COMPRESSED_SIDES = (24, 32, 48, 64, 95)
LIBJPEG = (80, 50, 28, 10)
FFMPEG = (2, 8, 16, 25)
"""`-q:v`: 2 is the best, and what FFmpeg's frames come to without it is about 25."""
MPEG = np.array(
    [
        [8, 16, 19, 22, 26, 27, 29, 34],
        [16, 16, 22, 24, 27, 29, 34, 37],
        [19, 22, 26, 27, 29, 34, 34, 38],
        [22, 22, 26, 27, 29, 34, 37, 40],
        [22, 26, 27, 29, 32, 35, 40, 48],
        [26, 27, 29, 32, 35, 40, 48, 58],
        [26, 27, 29, 34, 38, 46, 56, 69],
        [27, 29, 35, 38, 46, 56, 69, 83],
    ]
)
"""FFmpeg's `ff_mpeg1_default_intra_matrix`; a frame's table is this times `-q:v` / 8."""
GENUINE_SIDES = (30, 40, 50, 70, 95)
MOST_BYTES = 10**8

SIGNALS = {
    "combing": Signal(lambda face: face.quality.combing, ("comb",), True),
    "compression": Signal(
        lambda face: face.quality.compression or 0.0, ("libjpeg", "FFmpeg"), True
    ),
}


@dataclass(frozen=True, slots=True)
class Trial:
    """A photo of a size, spoilt in one way to one step: see quality.Trial. other: similarity to
    another photo of the person, by recogniser."""

    way: str
    step: float
    side: int
    seen: Seen | None
    kept: dict[str, float]
    other: dict[str, float]


def scaled(photo: Photo, side: int) -> tuple[Photo, float]:
    """A photo whose face's box has a shorter side of so many pixels, and the scale."""
    x1, y1, x2, y2 = photo.box
    scale = side / float(min(x2 - x1, y2 - y1))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    image = cv2.resize(photo.image, None, fx=scale, fy=scale, interpolation=method)
    return Photo(image, photo.box * scale), scale


def comb(photo: Photo, share: float, random: Random) -> Image:
    """Odd rows from a moment at which the face was so many of its widths further, anywhere."""
    angle = random.uniform(0, 2 * np.pi)
    reach = share * float(photo.box[2] - photo.box[0])
    matrix = np.array([[1, 0, reach * np.cos(angle)], [0, 1, reach * np.sin(angle)]], np.float32)
    size = photo.image.shape[1::-1]
    later = cv2.warpAffine(photo.image, matrix, size, borderMode=cv2.BORDER_REFLECT)
    woven = photo.image.copy()
    woven[1::2] = later[1::2]
    return woven


def libjpeg(image: Image, quality: float) -> bytes:
    """A JPEG of a quality as cameras and editors count."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1].tobytes()


def ffmpeg(image: Image, scale: float) -> bytes:
    """A JPEG with the tables of FFmpeg's `-q:v`."""
    table = np.clip(MPEG.ravel() * int(scale) // 8, 1, 255).tolist()
    table[0] = 8
    file = io.BytesIO()
    rgb = Pillow.fromarray(np.ascontiguousarray(image[..., ::-1]))
    rgb.save(file, "JPEG", qtables=[table, table], subsampling=2)
    return file.getvalue()


class Study:
    """Looks at one person after the other."""

    def __init__(self) -> None:
        self.eyes = Eyes()
        self.trials: list[Trial] = []

    def add(self, seed: int, path: Path) -> None:
        """Every trial of one person, of whom there are two photos."""
        random = np.random.default_rng(seed)
        photo, landmarks = self.eyes.photo(path)
        second, where = self.eyes.photo(path.with_name(path.name.replace("0001", "0002")))
        other = self.eyes.look(second.image, where)
        assert other, path
        for side in sorted({*COMBED_SIDES, *COMPRESSED_SIDES, *GENUINE_SIDES}):
            small, scale = scaled(photo, side)
            before = self.eyes.look(small.image, landmarks * scale)
            if before is None:
                continue

            def keep(way: str, step: float, image: Image, quantisation: float | None) -> None:
                seen = self.eyes.look(image, landmarks * scale, quantisation)  # noqa: B023
                kept = before.similarities(seen) if seen else {}  # noqa: B023
                again = other.similarities(seen) if seen else {}
                self.trials.append(Trial(way, step, side, seen, kept, again))  # noqa: B023

            keep("none", 0, small.image, None)
            if side in COMBED_SIDES:
                for share in SHIFTS:
                    keep("comb", share, comb(small, share, random), None)
            jpegs: list[tuple[str, Sequence[float], Callable[[Image, float], bytes]]] = [
                ("libjpeg", LIBJPEG if side in COMPRESSED_SIDES else (), libjpeg),
                ("FFmpeg", FFMPEG if side in COMPRESSED_SIDES else (FFMPEG[0], FFMPEG[-1]), ffmpeg),
            ]
            for way, steps, encode in jpegs:
                for step in steps:
                    data = encode(small.image, step)
                    keep(way, step, decode(data, MOST_BYTES), luminance_step(data))


def step_rows(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Each way, step and size: what the signals say, what is left, who is still recognised."""
    rows = []
    for key in sorted({(trial.way, trial.step, trial.side) for trial in trials}):
        mine = [t for t in trials if (t.way, t.step, t.side) == key]
        faces = [trial for trial in mine if trial.seen]
        usable = [trial for trial in faces if trial.seen and trial.seen.usable]
        row: dict[str, Any] = dict(zip(("way", "step", "side"), key, strict=True))
        row |= {"found": len(faces) / len(mine), "usable": len(usable) / max(1, len(faces))}
        for name, signal in SIGNALS.items():
            row[name] = float(np.median([signal.read(one.seen) for one in faces if one.seen]))
        for name, threshold in THRESHOLDS.items():
            row[name] = [
                float(value) for value in np.percentile([one.kept[name] for one in faces], (10, 50))
            ]
            row[f"{name} missed"] = [
                float(np.mean([one.other[name] < threshold for one in group])) if group else None
                for group in (faces, usable)
            ]
        rows.append(row)
    return rows


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    """What each step does at each size."""
    print("Each way, step and size: signals are medians, similarities are to the same photo of")
    print("that size. Missed: another photo of the person is under the threshold; of all faces,")
    print("of the usable ones.\n")
    print("| spoilt, step | face, px | usable | combing | compression |", end=" ")
    print(*(f"{one}: median, 10th percentile | missed |" for one in THRESHOLDS))
    print("|---|---|---|---|---|" + "---|---|" * len(THRESHOLDS))
    for row in rows:
        if row["way"] == "none":
            continue
        cells = [f"{row['way']} {row['step'] or ''}".strip(), str(row["side"])]
        cells += [f"{row['usable']:.0%}", f"{row['combing']:.3g}", f"{row['compression']:.2g}"]
        for one in THRESHOLDS:
            low, middle = row[one]
            missed = [
                f"{share:.0%}" if share is not None else "–" for share in row[f"{one} missed"]
            ]
            cells += [f"{middle:.2f}, {low:.2f}", ", ".join(missed)]
        print("| " + " | ".join(cells) + " |")


def print_limits(curves: dict[str, dict[str, Any]], clean: Sequence[Trial]) -> None:
    """The limit that each curve gives."""
    print(f"\nFrom where on the median similarity of the weaker recogniser is under {KEPT}:\n")
    print("| signal | from | at each size | rank correlation, edgeface and starter |", end=" ")
    print("photos as they are, most |")
    print("|---|---|---|---|---|")
    for name, found in curves.items():
        most = max(SIGNALS[name].read(trial.seen) for trial in clean if trial.seen)
        sizes = ", ".join(f"{side}: {shown(limit)}" for side, limit in found["sides"].items())
        correlation = ", ".join(f"{abs(value):.2f}" for value in found["rank_correlation"].values())
        print(f"| {name} | {shown(found['limit'])} | {sizes} | {correlation} | {most:.2g} |")


def curve_of(trials: Sequence[Trial], signal: Signal) -> dict[str, Any]:
    """The curve of a signal over the sizes at which its ways are tried, and the limits of each."""
    sides = sorted({trial.side for trial in trials if trial.way == signal.ways[0]})
    mine = [trial for trial in trials if trial.side in sides]
    found = curve(mine, signal)  # type: ignore[arg-type]
    found["sides"] = {
        str(side): curve([trial for trial in mine if trial.side == side], signal)["limit"]  # type: ignore[arg-type]
        for side in sides
    }
    return found


def main() -> None:
    """Print the tables and write what they are made of to benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=40)
    arguments = parser.parse_args()
    print(in_words(processor()), end="\n\n")
    study = Study()
    people = sorted(PHOTOS.glob("*/*_0001.jpg"))
    for seed, path in enumerate(people[:: max(1, len(people) // arguments.photos)]):
        study.add(seed, path)
    rows = step_rows(study.trials)
    curves = {name: curve_of(study.trials, signal) for name, signal in SIGNALS.items()}
    print_rows(rows)
    print_limits(curves, [trial for trial in study.trials if trial.way == "none"])
    write("frame_faults", {"steps": rows, "curves": curves})


if __name__ == "__main__":
    main()
