"""What colours that are not sRGB do to embeddings: left alone, and mapped.

    INSIGHTFACE_MODEL=starter .venv/bin/python -m benchmarks.studies.colours [PHOTOS]

Each photo of LFW is coded in a profile that is then ignored, or as PQ or HLG in BT.2020, as a still
or as a video of one frame, and analysed; the cosine is that of its face to the face of the photo
itself. Needs PyAV.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.frames import SHARED
from face_service.config import load_settings
from face_service.engine_factory import load_engine, runtime_config
from face_service.face_engine import Options
from face_service.runtime.processor import in_words, processor
from face_service.tools.evaluation import main_face
from face_service.tools.photos import photos_in, read_photo
from face_service.video.frames import frames
from face_service.vision.blob import Image
from face_service.vision.sdr import to_sdr
from tests.formats import HLG, PQ, hdr

XYZ_OF_SRGB = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)
D65 = (0.3127, 0.3290)
PROFILES = {
    "Display P3": (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), None),
    "Adobe RGB": (((0.640, 0.330), (0.210, 0.710), (0.150, 0.060)), 2.2),
    "ProPhoto, white D65": (
        ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)),
        1.8,
    ),
}
"""Primaries x, y, and the exponent of the curve; None: sRGB's."""


def to_xyz(primaries: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """Linear red, green and blue to XYZ, white being D65."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    white = np.array([D65[0] / D65[1], 1, (1 - D65[0] - D65[1]) / D65[1]])
    return columns * np.linalg.solve(columns, white)


def coded(image: Image, profile: str) -> Image:
    """The photo as a file in that profile stores it."""
    primaries, exponent = PROFILES[profile]
    code = image[:, :, ::-1] / 255
    light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    light = (light @ (np.linalg.solve(to_xyz(primaries), XYZ_OF_SRGB)).T).clip(0, 1)
    if exponent is None:
        code = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    else:
        code = light ** (1 / exponent)
    return np.ascontiguousarray((code[:, :, ::-1] * 255).round().astype(np.uint8))


def ignored(transfer: int) -> Callable[[Image], Image]:
    return lambda image: (hdr(image, transfer) >> 8).astype(np.uint8)


def mapped(transfer: int) -> Callable[[Image], Image]:
    return lambda image: to_sdr(hdr(image, transfer) >> 6 << 6, 9, transfer)


def of_video(transfer: int, tagged: bool = True) -> Callable[[Image], Image]:
    """A frame of H.264 with 10 bits a sample, hardly compressed. tagged: the file says what it is;
    else it is left as it is."""
    bt2020 = 9

    def way(image: Image) -> Image:
        values = hdr(image, transfer)[: len(image) // 2 * 2, : image.shape[1] // 2 * 2]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(values), "bgr48le").reformat(
            format="yuv420p10le", dst_colorspace=bt2020, dst_color_range=1
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.mp4"
            with av.open(str(path), "w") as file:
                stream = file.add_stream("libx264", rate=25, options={"crf": "4"})
                stream.height, stream.width = values.shape[:2]
                stream.pix_fmt = "yuv420p10le"
                for target in (stream.codec_context, frame):
                    target.colorspace, target.color_range = bt2020, 1
                    target.color_primaries = bt2020 if tagged else 2
                    target.color_trc = transfer if tagged else 2
                file.mux(stream.encode(frame))
                file.mux(stream.encode())
            return next(frames(path)).image

    return way


WAYS: dict[str, Callable[[Image], Image]] = {
    **{f"{name}, ignored": lambda image, name=name: coded(image, name) for name in PROFILES},
    "PQ, ignored": ignored(PQ),
    "PQ, 10 bits, mapped": mapped(PQ),
    "HLG, ignored": ignored(HLG),
    "HLG, 10 bits, mapped": mapped(HLG),
    "PQ, a video, ignored": of_video(PQ, tagged=False),
    "PQ, a video": of_video(PQ),
    "HLG, a video, ignored": of_video(HLG, tagged=False),
    "HLG, a video": of_video(HLG),
}


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 56
    settings = load_settings(det_gate="off")
    engine = load_engine(settings, runtime_config(settings))
    options = Options()
    folder = SHARED / "faces/lfw"
    people = sorted(path for path in folder.iterdir() if path.is_dir())
    cosines: dict[str, list[float]] = {name: [] for name in WAYS}
    for person in people[:: max(1, len(people) // count)][:count]:
        image = read_photo(photos_in(person)[0])
        own = main_face(engine.analyse_image(image, options), image).embedding
        for name, way in WAYS.items():
            other = way(image)
            face = main_face(engine.analyse_image(other, options), other)
            cosines[name].append(float(np.dot(own, face.embedding)))
    print(f"{engine.info.pack}, {count} people. {in_words(processor())}")
    print("| the picture is | cosine | least |")
    print("|---|---|---|")
    for name, found in cosines.items():
        print(f"| {name} | {np.mean(found):.4f} | {min(found):.4f} |")


if __name__ == "__main__":
    main()
