"""Decoding: every format and colour model comes out as the same BGR picture, or is refused."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
import simplejpeg

from face_service.errors import ImageTooLarge, InvalidImage
from face_service.vision.blob import Image
from face_service.vision.image import decode, sniff
from tests.images import encode, encode_16_bit, every_dress, rotated

LIMIT = 50_000_000
DRESSES = sorted(every_dress(np.zeros((8, 8, 3), np.uint8)))
# Mean difference of a grey level from the original: what a dress must lose and no more.
LOSSY = {"jpeg": 4.0, "webp": 4.0, "palette": 20.0, "gif": 20.0, "cmyk": 4.0, "tiff jpeg": 4.0}


@pytest.fixture(scope="module")
def picture(solvay: Path) -> Image:
    """A piece of a real photo, tinted so that a swap of channels would show."""
    image = cv2.imread(str(solvay))[600:840, 300:620]
    return np.clip(image * np.array([0.6, 0.8, 1.0]), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def dresses(picture: Image) -> dict[str, bytes]:
    """The picture in every format and colour model."""
    return every_dress(picture)


@pytest.mark.parametrize("dress", DRESSES)
def test_every_format_shows_the_same_picture(
    dress: str, dresses: dict[str, bytes], picture: Image
) -> None:
    image = decode(dresses[dress], LIMIT)

    expected = picture
    if "grey" in dress:
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        expected = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    tolerance = max((loss for word, loss in LOSSY.items() if word in dress), default=1.0)
    assert image.dtype == np.uint8
    assert image.shape == picture.shape
    assert np.abs(image.astype(int) - expected.astype(int)).mean() <= tolerance


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(image_format: str, orientation: int, picture: Image) -> None:
    options = {"quality": 95} if image_format in ("JPEG", "WEBP") else {}
    image = decode(rotated(picture, orientation, image_format, **options), LIMIT)

    assert image.shape == picture.shape
    assert np.abs(image.astype(int) - picture.astype(int)).mean() < 6


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 95},
        {"quality": 30},
        {"progressive": True},
        {"subsampling": 0},
        {"subsampling": 1},
        {"subsampling": 2},
        {"optimize": True, "restart_marker_blocks": 4},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("crop", [(240, 320), (239, 317), (9, 7)])
def test_a_jpeg_has_the_very_pixels_opencv_gives(
    options: dict[str, object], mode: str, crop: tuple[int, int], picture: Image
) -> None:
    image = np.ascontiguousarray(picture[: crop[0], : crop[1]])
    data = encode(image, "JPEG", mode, **options)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decode(data, LIMIT), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_jpeg_has_the_very_pixels_opencv_gives(orientation: int, picture: Image) -> None:
    data = rotated(picture, orientation, "JPEG")
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decode(data, LIMIT), expected)


def test_a_jpeg_with_stray_bytes_is_still_a_picture(picture: Image) -> None:
    data = encode(picture, "JPEG", quality=95)
    stray = data[:-2] + b"\x00\x11\x22" + data[-2:]
    with pytest.raises(ValueError, match="extraneous"):
        simplejpeg.decode_jpeg(stray, "BGR")
    assert np.array_equal(decode(stray, LIMIT), decode(data, LIMIT))


@pytest.mark.parametrize(
    "exif", [b"Exif\x00\x00" + b"\xff" * 40, b"Exif\x00\x00II*\x00", b"rubbish"]
)
def test_damaged_exif_does_not_cost_the_picture(exif: bytes, picture: Image) -> None:
    assert decode(encode(picture, "JPEG", exif=exif), LIMIT).shape == picture.shape


def test_an_orientation_that_does_not_exist_is_none(picture: Image) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 77
    assert decode(encode(picture, "JPEG", exif=exif), LIMIT).shape == picture.shape


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bits_become_8_and_do_not_turn_white(suffix: str) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert np.array_equal(decode(encode_16_bit(ramp, suffix), LIMIT), ramp)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2000), (2000, 1), (4000, 6000)])
def test_odd_sizes_are_images(height: int, width: int) -> None:
    image = np.full((height, width, 3), 77, np.uint8)
    assert decode(encode(image, "PNG"), LIMIT).shape == (height, width, 3)


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("part", [0.05, 0.5, 0.9])
def test_truncated_images_are_refused(dress: str, part: float, dresses: dict[str, bytes]) -> None:
    data = dresses[dress]
    if dress == "gif animated":
        part /= 4  # a whole first frame is a picture
    with pytest.raises(InvalidImage):
        decode(data[: int(len(data) * part)], LIMIT)


def zip_of(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"\xff\xd8\xff")
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"hello, I am a text",
        b"<!doctype html><html><body>502 Bad Gateway</body></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        zip_of("photo.jpg"),
        b"\xff\xd8\xff" + b"\x00" * 500,
        b"\x89PNG\r\n\x1a\n" + b"\x00" * 500,
        b"BM" + b"\xff" * 500,
        b"II*\x00" + b"\xff" * 500,
        b"GIF89a" + b"\x00" * 500,
        b"RIFF\xff\xff\xff\xffWEBPVP8 " + b"\x00" * 500,
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_not_an_image_is_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(InvalidImage, match=r"^[A-Z][^<>\\]{10,200}$"):
        decode(data, LIMIT)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_pixels_are_limited_before_decoding(
    image_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(np.zeros((100, 100, 3), np.uint8), image_format)
    assert decode(data, 10_000).shape == (100, 100, 3)
    for module, decoder in ((cv2, "imdecode"), (simplejpeg, "decode_jpeg")):
        monkeypatch.setattr(module, decoder, lambda *_: pytest.fail("the decoder saw the bytes"))
    with pytest.raises(ImageTooLarge, match=r"100x100.*9999"):
        decode(data, 9_999)


def test_the_format_comes_from_the_bytes() -> None:
    assert sniff(encode(np.zeros((8, 8, 3), np.uint8), "WEBP")) == "WEBP"
    assert sniff(b"RIFF....AVI LIST") is None


SHRINKING = """
import os
import cv2, numpy as np
from face_service.vision.image import set_up_opencv

image = np.zeros((3000, 4000, 3), np.uint8)

def threads_begun():
    before = len(os.listdir("/proc/self/task"))
    cv2.resize(image, (640, 480))
    return len(os.listdir("/proc/self/task")) - before

set_up_opencv()
begun = threads_begun()
cv2.setNumThreads(4)
print(begun, threads_begun())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_opencv_shrinks_on_the_thread_it_is_called_on() -> None:
    done = subprocess.run([sys.executable, "-c", SHRINKING], capture_output=True, text=True)
    begun, otherwise = map(int, done.stdout.split())
    assert begun == 0
    assert otherwise > 0
