"""A bare loop over the items of a manifest, for `tests.offline.cost`, on one thread:

    .ray/bin/python -m tests.offline.loop MANIFEST I N ITEMS

The I-th of N loops, which takes each N-th item. Says that its engine is loaded. At each line on
stdin it goes on with so many items, and says how many seconds of a processor they took. It ends
when stdin does.
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
    place, of, count = map(int, sys.argv[2:])
    items = iter(read_manifest(sys.argv[1])[place::of])
    options = Options()
    print("loaded", flush=True)
    for _ in sys.stdin:
        began = time.process_time()
        for _ in range(count):
            engine.analyse_image(image_of(next(items), settings.max_image_pixels), options)
        print(time.process_time() - began, flush=True)


if __name__ == "__main__":
    main()
