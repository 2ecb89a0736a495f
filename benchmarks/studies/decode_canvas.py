"""Cheaper pixels for the detector of a 1080p JPEG: what they save, and what they change.

    .venv/bin/python -m benchmarks.studies.decode_canvas [FRAMES]

CPU time on one thread from a JPEG to the detector's canvas, medians of rounds that alternate; then
the faces that det_2.5g finds on composed frames of six faces, against those of today, and the
cosine of EdgeFace-XS's embeddings. Embeddings are always of crops of the full image that each way
has decoded, at the landmarks it has found.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
import simplejpeg

from benchmarks.frames import SHARED, frame
from face_service.packs.pack import sha256_of
from face_service.runtime.network import load_networks
from face_service.runtime.plans import NetworkSpec
from face_service.runtime.processor import in_words, processor
from face_service.runtime.providers import CPU, RuntimeConfig
from face_service.vision.alignment import align_face
from face_service.vision.arcface import ArcFace
from face_service.vision.blob import ARCFACE_NORMALIZATION, Image, to_blob
from face_service.vision.boxes import iou
from face_service.vision.canvas import Size, letterbox
from face_service.vision.detections import Detections
from face_service.vision.detector import DetectorInput, DetectorPreprocessor
from face_service.vision.scrfd import Scrfd

CANVAS = Size(640, 384)
ROUNDS = 21


def full(data: bytes) -> Image:
    return simplejpeg.decode_jpeg(data, "BGR")


def grey(data: bytes) -> Image:
    return cv2.cvtColor(simplejpeg.decode_jpeg(data, "GRAY"), cv2.COLOR_GRAY2BGR)


def half(data: bytes) -> Image:
    return simplejpeg.decode_jpeg(data, "BGR", min_width=960, min_height=540, min_factor=2)


def fast(data: bytes) -> Image:
    return simplejpeg.decode_jpeg(data, "BGR", fastdct=True, fastupsample=True)


def plain_chroma(data: bytes) -> Image:
    return simplejpeg.decode_jpeg(data, "BGR", fastupsample=True)


WAYS: dict[str, tuple[Callable[[bytes], Image], Callable[[bytes], Image]]] = {
    "today: colour, full scale": (full, full),
    "luminance alone": (grey, full),
    "half scale (DCT)": (half, full),
    "full scale, chroma not smoothed": (plain_chroma, plain_chroma),
    "full scale, fast DCT, chroma not smoothed": (fast, fast),
}
"""What the detector sees, and what faces are cut from, by name."""


def to_canvas(decode: Callable[[bytes], Image], data: bytes) -> DetectorInput:
    """The detector's input. scale: of the 1080p image."""
    pixels = decode(data)
    canvas = letterbox(pixels, CANVAS)
    assert canvas is not None
    scale = canvas.scale * pixels.shape[0] / 1080
    blob = to_blob([canvas.pixels], DetectorPreprocessor((CANVAS,)).normalization)
    return DetectorInput(blob, CANVAS, scale)


def times(data: bytes) -> dict[str, tuple[float, float]]:
    """Milliseconds of CPU by way: of decoding what the detector sees, and with the canvas."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name, (decode, _) in WAYS.items():
            started = time.process_time()
            decode(data)
            between = time.process_time()
            to_canvas(decode, data)
            spent[name].append((between - started, time.process_time() - between))
    return {
        name: tuple(statistics.median(one) * 1e3 for one in zip(*each, strict=True))  # type: ignore[misc]
        for name, each in spent.items()
    }


def main() -> None:
    """Print a table."""
    frames = [frame(6, seed) for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 20)]
    cv2.setNumThreads(1)
    print(in_words(processor()), end="\n\n")
    cost = times(frames[0])
    paths = [SHARED / "models" / name for name in ("det_2.5g.onnx", "edgeface_xs.onnx")]
    specs = [NetworkSpec(path, sha256_of(path), single=path is paths[0]) for path in paths]
    detector, recogniser = load_networks(specs, (CPU,), RuntimeConfig(threads=2))
    find = Scrfd(detector, DetectorPreprocessor((CANVAS,)))
    embed = ArcFace(recogniser, ARCFACE_NORMALIZATION)

    def look(name: str, data: bytes) -> tuple[Detections, np.ndarray]:
        seen, cut = WAYS[name]
        found = find.detect([to_canvas(seen, data)])
        image = cut(data)
        crops = [align_face(image, landmarks) for landmarks in found.landmarks]
        return found, embed.embed([crop for crop in crops if crop is not None])

    print("| what the detector sees | decoded | with its canvas | faces | lost | gained | score "
          "moves | box moves | cosine: mean | least | below 0.9995 |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    today = [look(next(iter(WAYS)), data) for data in frames]
    for name in WAYS:
        lost = gained = total = 0
        scores, moves, cosines = [0.0], [0.0], []
        for data, (right, embeddings) in zip(frames, today, strict=True):
            found, ours = look(name, data)
            total += len(found)
            matched = set()
            for n, box in enumerate(right.bboxes):
                shared = iou(box, found.bboxes) if len(found) else np.zeros(1)
                best = int(shared.argmax())
                if shared[best] < 0.5:
                    lost += 1
                    continue
                matched.add(best)
                scores.append(abs(float(found.scores[best] - right.scores[n])))
                moves.append(float(np.abs(found.bboxes[best] - box).max()))
                cosines.append(float(embeddings[n] @ ours[best]))
            gained += len(found) - len(matched)
        decoded, with_canvas = cost[name]
        print(
            f"| {name} | {decoded:.1f} ms | {with_canvas:.1f} ms | {total} | {lost} | {gained} | "
            f"{max(scores):.3f} | {max(moves):.1f} px | {statistics.mean(cosines):.4f} | "
            f"{min(cosines):.4f} | {sum(one < 0.9995 for one in cosines)} of {len(cosines)} |"
        )


if __name__ == "__main__":
    main()
