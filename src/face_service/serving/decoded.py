"""What goes into the pipeline: the bytes of an image, or pixels that somebody has decoded."""

from __future__ import annotations

from typing import NamedTuple

from face_service.vision.blob import Image
from face_service.vision.image import Checked, decode_checked
from face_service.vision.quantisation import luminance_step


class DecodedImage(NamedTuple):
    """A frame of a video, uint8 [height, width, 3], BGR. It takes memory of the decode gate as an
    image that was decoded here."""

    pixels: Image

    @property
    def decoded_bytes(self) -> int:
        """The memory it takes, in bytes."""
        return self.pixels.nbytes


Picture = bytes | DecodedImage
CheckedPicture = Checked | DecodedImage


def decode(picture: CheckedPicture) -> tuple[Image, float | None]:
    """The pixels, uint8 [height, width, 3], BGR, and the mean step with which their luminance was
    quantised (`luminance_step`); None if the picture was no JPEG, or its table was not found.
    Raises InvalidImage and OutOfMemory."""
    if isinstance(picture, DecodedImage):
        return picture.pixels, None
    step = luminance_step(picture.data) if picture.image_format == "JPEG" else None
    return decode_checked(picture), step
