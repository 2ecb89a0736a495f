"""What goes into the pipeline: the bytes of an image, or pixels that somebody has decoded."""

from __future__ import annotations

from typing import NamedTuple

from face_service.vision.blob import Image
from face_service.vision.image import Checked, decode_checked
from face_service.vision.quantisation import luminance_step


class DecodedImage(NamedTuple):
    """uint8 [height, width, 3], BGR: a frame of a video. It counts as one that is decoded."""

    pixels: Image

    @property
    def decoded_bytes(self) -> int:
        """The memory it takes."""
        return self.pixels.nbytes


Picture = bytes | DecodedImage
CheckedPicture = Checked | DecodedImage


def decode(picture: CheckedPicture) -> tuple[Image, float | None]:
    """The pixels, and the mean step with which their luminance was quantised; None if the picture
    was no JPEG. Raises InvalidImage and OutOfMemory."""
    if isinstance(picture, DecodedImage):
        return picture.pixels, None
    step = luminance_step(picture.data) if picture.image_format == "JPEG" else None
    return decode_checked(picture), step
