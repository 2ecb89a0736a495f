"""One picture in every dress: formats, colour models, bit depths, rotations."""

from __future__ import annotations

import io

import cv2
import numpy as np
import PIL.Image

from face_service.vision.blob import Image

EXIF_ORIENTATION = 0x0112


def encode(image: Image, image_format: str, mode: str = "RGB", **options: object) -> bytes:
    """A BGR image as a file, by Pillow."""
    out = io.BytesIO()
    rgb = PIL.Image.fromarray(np.ascontiguousarray(image[:, :, ::-1]))
    rgb.convert(mode).save(out, image_format, **options)
    return out.getvalue()


def encode_16_bit(image: Image, suffix: str) -> bytes:
    """A BGR image with 16 bits a channel, by OpenCV."""
    ok, data = cv2.imencode(suffix, image.astype(np.uint16) * 257)
    assert ok
    return data.tobytes()


def gif(*images: Image) -> bytes:
    """BGR images as an animation. Pillow's own choice of 256 colours takes a second for each 2
    megapixels, this one a twentieth of that."""
    frames = [
        PIL.Image.fromarray(np.ascontiguousarray(image[:, :, ::-1])).quantize(
            method=PIL.Image.Quantize.FASTOCTREE
        )
        for image in images
    ]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=len(frames) > 1, append_images=frames[1:])
    return out.getvalue()


def rotated(image: Image, orientation: int, image_format: str, **options: object) -> bytes:
    """The image stored so that a reader who obeys EXIF `orientation` sees it upright."""
    undo = {
        1: image,
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.transpose(1, 0, 2),
        6: np.rot90(image, 1),
        7: image[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(image, -1),
    }[orientation]
    exif = PIL.Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    return encode(np.ascontiguousarray(undo), image_format, exif=exif, **options)


def every_dress(image: Image) -> dict[str, bytes]:
    """The picture in each format and colour model that must be read."""
    other = np.ascontiguousarray(image[::-1])
    frames = {"save_all": True, "append_images": [PIL.Image.fromarray(other)]}
    return {
        "jpeg": encode(image, "JPEG", quality=95),
        "jpeg progressive": encode(image, "JPEG", quality=95, progressive=True),
        "jpeg grey": encode(image, "JPEG", "L", quality=95),
        "jpeg cmyk": encode(image, "JPEG", "CMYK", quality=95),
        "png": encode(image, "PNG"),
        "png grey": encode(image, "PNG", "L"),
        "png alpha": encode(image, "PNG", "RGBA", compress_level=1),
        "png grey alpha": encode(image, "PNG", "LA", compress_level=1),
        "png palette": encode(image, "PNG", "P"),
        "png 16 bit": encode_16_bit(image, ".png"),
        "png 16 bit grey": encode_16_bit(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), ".png"),
        "webp": encode(image, "WEBP", quality=90),
        "webp lossless alpha": encode(image, "WEBP", "RGBA", lossless=True, method=0),
        "webp animated": encode(image, "WEBP", quality=90, **frames),
        "bmp": encode(image, "BMP"),
        "bmp palette": encode(image, "BMP", "P"),
        "tiff": encode(image, "TIFF"),
        "tiff lzw": encode(image, "TIFF", compression="tiff_lzw"),
        "tiff jpeg": encode(image, "TIFF", compression="jpeg"),
        "tiff cmyk": encode(image, "TIFF", "CMYK"),
        "tiff 16 bit": encode_16_bit(image, ".tiff"),
        "gif": gif(image),
        "gif animated": gif(image, other),
    }
