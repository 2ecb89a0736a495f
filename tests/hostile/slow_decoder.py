"""`python -m tests.hostile.slow_decoder`: the service, with a decoder that sleeps in every BMP.

A BMP stands for a picture that takes hours, or for ever.
"""

from __future__ import annotations

import sys
import time

from face_service.main import main
from face_service.vision import image
from face_service.vision.blob import Image

decode = image.decode_pixels


def decode_slowly(checked: image.Checked) -> Image | None:
    """`decode_pixels`, which for a BMP does not come back."""
    if checked.image_format == "BMP":
        time.sleep(3600)
    return decode(checked)


if __name__ == "__main__":
    image.decode_pixels = decode_slowly
    sys.exit(main())
