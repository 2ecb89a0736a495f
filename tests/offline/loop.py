"""A bare loop over the items of a manifest, for `tests.offline.cost`, on one thread:

    .ray/bin/python -m tests.offline.loop MANIFEST

Says that its engine is loaded, goes at a line on stdin, says how many seconds of a processor it
took, and ends when stdin does.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from face_service.config import load_settings
from face_service.engine_factory import load_engine, runtime_config
from face_service.face_engine import Options
from face_service.offline.manifest import Item, read_manifest
from face_service.vision.image import decode

BLACK = np.zeros((40, 60, 3), np.uint8)
"""What `library.READER` gives for a video."""


def image_of(item: Item, most: int) -> np.ndarray:
    """The one frame of an item."""
    return BLACK if item.is_video else decode(Path(item.uri).read_bytes(), most)


def main() -> None:
    settings = load_settings(intra_op_threads=1, workers=1)
    engine = load_engine(settings, runtime_config(settings))
    items = read_manifest(sys.argv[1])
    options = Options()
    print("loaded", flush=True)
    sys.stdin.readline()
    began = time.process_time()
    for item in items:
        engine.analyse_image(image_of(item, settings.max_image_pixels), options)
    print(time.process_time() - began, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
