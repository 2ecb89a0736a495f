"""What decoding takes beside the body, and what it is charged with, in bytes a pixel.

.venv/bin/python -m benchmarks.decoding_memory [--megapixels 4]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import PIL.Image as Pillow

from face_service.runtime.memory import libc_function, set_up_malloc, trim_heap
from face_service.vision.blob import Image
from face_service.vision.image import check, decode_checked, set_up_opencv
from tests.formats import (
    avif,
    deep_avif,
    deep_heic,
    hdr,
    heic,
    jpeg_without_adobe,
    lossless_jpeg,
    packed,
    page,
    png,
    tiff_of,
    tiles,
)
from tests.images import encode, every_dress, rotated

SIDES = (4, 3)
M_MMAP_THRESHOLD = -3
"""glibc's malloc.h."""
ALONE = 128 * 1024
"""Bytes from which on memory is taken from the system and given back at once, glibc's value at the
start. It raises it while it runs, and then what a decoder takes depends on the gaps that the one
before has left."""
MARGIN_MB = 2.0
"""For what a decoder takes whatever the size of the picture."""


def memory(name: str) -> int:
    """A value of /proc/self/status in bytes."""
    text = Path("/proc/self/status").read_text()
    return int(text.split(f"{name}:")[1].split()[0]) * 1024


def pictures(megapixels: float) -> Iterator[tuple[str, bytes]]:
    """A picture of so many pixels in every format and colour model."""
    unit = (megapixels * 1e6 / (SIDES[0] * SIDES[1])) ** 0.5
    size = (int(SIDES[0] * unit), int(SIDES[1] * unit))
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    image = cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)
    yield from every_dress(image).items()
    for orientation in (3, 6, 7):
        yield f"jpeg turned {orientation}", rotated(image, orientation, "JPEG")
    yield "jpeg progressive 4:4:4", encode(image, "JPEG", progressive=True, subsampling=0)
    yield "jpeg progressive turned", rotated(image, 6, "JPEG", progressive=True)
    yield "jpeg cmyk progressive", encode(image, "JPEG", "CMYK", progressive=True)
    yield "png turned", rotated(image, 6, "PNG")
    yield "tiff turned", rotated(image, 6, "TIFF")
    yield "webp turned", rotated(image, 6, "WEBP")
    yield from newer(image)
    for mode in ("1", "L", "P", "RGBA"):
        yield f"tiff {mode}", encode(image, "TIFF", mode)


def newer(image: Image) -> Iterator[tuple[str, bytes]]:
    """Those of phones, of high dynamic range, and of samples that are no bytes."""
    rgb, bright = np.ascontiguousarray(image[:, :, ::-1]), hdr(image, 16)
    yield "heic", heic(image)
    yield "heic in tiles", heic(image, tile=512)
    yield "heic PQ", deep_heic(bright, transfer_characteristics=16, color_primaries=9)
    yield "avif", avif(image)
    yield "avif PQ", deep_avif(bright, 9, 16)
    yield "png PQ", png(bright, b"cICP", bytes((9, 16, 0, 1)))
    yield "png 12 bits in 16", png(image.astype(np.uint16) * 16)
    yield "jpeg cmyk, unmarked", jpeg_without_adobe(image, inverted=False)
    yield "tiff 12 bits in 16", tiff_of(page(rgb.astype(np.uint16) * 16))
    yield "tiff 12 bits, no gaps", tiff_of(packed(image[:, :, 0], 12))
    grey = image[:, :, 0].astype(np.uint16)
    yield "tiff grey of 16 bits in tiles", tiff_of(tiles(grey * 257, 256))
    yield "tiff grey of 12 bits in 16 in tiles", tiff_of(tiles(grey * 16, 256))
    yield "tiff grey, 0 is white, in tiles", tiff_of(tiles(grey * 257, 256, t262=("H", [0])))
    yield "jpeg lossless grey", lossless_jpeg(image[:, :, 0])
    yield "apng", encode(image, "PNG", save_all=True, append_images=[Pillow.new("RGB", (8, 8))])
    yield "png without an end", encode(image, "PNG")[:-12]
    yield "tiff double", tiff_of(page(rgb / 255))


def least(data: bytes) -> tuple[float, float]:
    """The least of up to three `measure`: what else happens in a process only adds to it."""
    for _ in range(2):
        if (measured := measure(data))[0] <= measured[1]:
            return measured
    return measure(data)


def measure(data: bytes) -> tuple[float, float]:
    """Bytes a pixel that decoding takes at most, and those it is charged with."""
    image = check(data, 10**9)
    trim_heap()
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    before = memory("VmRSS")
    decode_checked(image)
    pixels = image.header.width * image.header.height
    taken = max(0.0, memory("VmHWM") - before - MARGIN_MB * 1e6)
    return taken / pixels, image.decoded_bytes / pixels


def main() -> int:
    """Print a line a picture. Status 1 if one takes more than it is charged with."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megapixels", type=float, default=4)
    megapixels = parser.parse_args().megapixels
    set_up_malloc()
    mallopt = libc_function("mallopt")
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, ALONE)
    set_up_opencv()
    for _, data in pictures(0.01):  # what every decoder takes once
        decode_checked(check(data, 10**9))
    over = False
    for name, data in pictures(megapixels):
        taken, charged = least(data)
        over |= taken > charged
        print(f"{name:26} {taken:5.1f} {charged:5.1f}{' MORE' * (taken > charged)}", flush=True)
    return int(over)


if __name__ == "__main__":
    raise SystemExit(main())
