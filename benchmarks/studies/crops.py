"""How near is the embedding of a crop that went through JPEG to that of its face?

    .venv/bin/python -m benchmarks.studies.crops [PACK]     # starter if left out

The main faces of ../shared/faces, aligned, encoded, decoded and embedded again.
"""

from __future__ import annotations

import sys
from itertools import chain
from pathlib import Path

import numpy as np
import simplejpeg

from face_service.config import load_settings
from face_service.engine_factory import load_engine, runtime_config
from face_service.face_engine import Options, PreparedImage
from face_service.observability.timing import StageTimes
from face_service.tools.evaluation import main_face
from face_service.tools.operating_points import people_in
from face_service.tools.photos import read_photo
from face_service.vision.alignment import ARCFACE_TEMPLATE, align_face
from face_service.vision.known import KnownFace

PHOTOS = Path("../shared/faces/lfw")
SETTINGS = ((80, "420"), (90, "420"), (90, "444"), (95, "420"), (95, "444"), (98, "444"))
ALIGNED = (KnownFace(ARCFACE_TEMPLATE),)


def main() -> None:
    settings = load_settings(insightface_model=sys.argv[1] if sys.argv[1:] else "starter")
    engine = load_engine(settings, runtime_config(settings))
    options = Options(attributes=False, quality=False)
    kept = []
    for photo in chain.from_iterable(people_in(PHOTOS).values()):
        image = read_photo(photo)
        face = main_face(engine.analyse_image(image, options), image)
        crop = align_face(image, face.landmarks)
        if crop is not None and face.embedding is not None:
            kept.append((crop, face.embedding))
    print(f"{engine.info.pack}: {len(kept)} faces")
    print("  quality  subsampling  bytes  cosine: median   least")
    for quality, subsampling in SETTINGS:
        sizes, cosines = [], []
        for crop, embedding in kept:
            encoded = simplejpeg.encode_jpeg(
                np.ascontiguousarray(crop), quality, "BGR", subsampling, fastdct=False
            )
            decoded = simplejpeg.decode_jpeg(encoded, "BGR")
            prepared = PreparedImage(decoded, [], options, ALIGNED)
            (again,) = engine.predict(prepared, StageTimes())
            sizes.append(len(encoded))
            cosines.append(float(np.dot(again.embedding, embedding)))
        size, median = np.mean(sizes), np.median(cosines)
        line = (
            f"  {quality:>7}  {subsampling:>11}  {size:>5.0f}  {median:>14.4f}  {min(cosines):.4f}"
        )
        print(line)


if __name__ == "__main__":
    main()
