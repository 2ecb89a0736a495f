"""A JPEG is read whole or not at all; oddities that change no pixel cost it nothing."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
import simplejpeg

from face_service.errors import InvalidImage
from face_service.vision.image import decode
from face_service.vision.jpeg import read_frame, read_scans
from face_service.vision.jpeg_pixels import MAX_STRAY
from tests.hostile.test_jpeg_headers import progressive
from tests.images import encode
from tests.vision.format_cases import LIMIT, P, precise
from tests.vision.format_tables import large

WHOLE = encode(P, "JPEG", quality=90)
PROGRESSIVE = encode(P, "JPEG", quality=90, progressive=True)
END = b"\xff\xd9"


def patched(data: bytes, marker: bytes, at: int, value: int) -> bytes:
    """The file with another byte, so far behind the first place of a marker."""
    place = data.index(marker) + at
    return data[:place] + bytes((value,)) + data[place + 1 :]


def said(data: bytes) -> str:
    """What libjpeg-turbo warns of."""
    with pytest.raises(ValueError, match=r".") as raised:
        simplejpeg.decode_jpeg(data, "BGR")
    return str(raised.value)


ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x09"
"""With a transform that does not exist."""
ODD = {
    "JFIF revision": patched(WHOLE, b"JFIF", 5, 7),
    "Adobe color transform": WHOLE[:2] + ADOBE + WHOLE[20:],
    "SOS parameters": patched(WHOLE, b"\xff\xda", 12, 0),
    "extraneous bytes": WHOLE[:-2] + bytes(range(1, 1 + MAX_STRAY)) + END,
}


@pytest.mark.parametrize("warning", ODD)
def test_an_oddity_that_changes_no_pixel_costs_nothing(warning: str) -> None:
    data = ODD[warning]
    assert warning in said(data)
    assert np.array_equal(decode(data, LIMIT), decode(WHOLE, LIMIT))
    half = data[: len(data) // 2] + END
    with pytest.raises(InvalidImage, match="missing or wrong"):
        decode(half, LIMIT)


def test_many_scans_that_are_odd_are_mended_up_to_a_bound() -> None:
    """Megabytes of them behind the picture are not gone through one by one."""
    data = ODD["SOS parameters"]
    assert np.array_equal(decode(data + b"\xff\xda" * 10**6, LIMIT), decode(WHOLE, LIMIT))
    assert np.array_equal(decode(data + b"\xff\xda", LIMIT), decode(WHOLE, LIMIT))


def test_all_of_them_at_once_cost_nothing() -> None:
    """In CMYK, for with three components JFIF hides Adobe's transform."""
    whole = patched(encode(P, "JPEG", "CMYK", quality=90), b"Adobe", 11, 2)
    data = whole[:2] + ODD["JFIF revision"][2:20] + patched(whole[2:-2], b"Adobe", 11, 9)
    data = patched(data, b"\xff\xda", 14, 0) + bytes(range(1, 1 + MAX_STRAY)) + END
    assert np.array_equal(decode(data, LIMIT), decode(whole, LIMIT))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(WHOLE[:-2] + bytes(range(1, 10 + MAX_STRAY)) + END, id="many stray bytes"),
        pytest.param(WHOLE[:-60] + bytes(58) + END, id="zeros at the end"),
        pytest.param(WHOLE[:-60] + bytes(5000), id="zeros, and no end"),
        pytest.param(WHOLE[: len(WHOLE) // 2] + WHOLE, id="torn"),
        pytest.param(WHOLE[:-3] + END, id="one byte less"),
    ],
)
def test_damage_is_no_oddity(data: bytes) -> None:
    with pytest.raises(InvalidImage, match="missing or wrong"):
        decode(data, LIMIT)


def test_a_progressive_jpeg_cut_between_two_scans_lacks_something() -> None:
    """No decoder minds: simplejpeg and OpenCV give a picture that is not sharp."""
    scans = [at for at in range(len(PROGRESSIVE)) if PROGRESSIVE.startswith(b"\xff\xda", at)]
    tables = [PROGRESSIVE.rindex(b"\xff\xc4", 0, at) for at in scans[2:]]
    for at in tables:
        cut = PROGRESSIVE[:at] + END
        assert simplejpeg.decode_jpeg(cut, "BGR").shape == P.shape
        assert read_scans(cut, read_frame(cut)).lacking
        with pytest.raises(InvalidImage, match="missing or wrong"):
            decode(cut, LIMIT)
    assert not read_scans(PROGRESSIVE, read_frame(PROGRESSIVE)).lacking


@pytest.mark.parametrize("count", [2, 5, 64, 90])
def test_scans_that_bring_every_bit_are_enough(count: int) -> None:
    data = progressive(count)
    assert not read_scans(data, read_frame(data)).lacking
    last = data.rindex(b"\xff\xda")
    assert read_scans(data[:last] + END, read_frame(data)).lacking


def odd_sampling(blocks: int) -> bytes:
    """4:1:0, which libjpeg-turbo's own interface has no name for: grey, 256×16, in so many of 8
    MCUs of 10 blocks, whose every code is the bit 0."""
    codes = bytes((1, 1, *[0] * 14)) + b"\x00\x01"
    tables = b"".join(b"\xff\xc4\x00\x15" + bytes((number,)) + codes for number in (0, 16))
    body = struct.pack(">BHHB", 8, 16, 32 * 8, 3) + bytes((1, 0x42, 0, 2, 0x11, 0, 3, 0x11, 0))
    head = b"\xff\xc0" + struct.pack(">H", len(body) + 2) + body
    scan = b"\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x3f\x00"
    quantisation = b"\xff\xdb\x00\x43\x00" + bytes([1] * 64)
    return b"\xff\xd8" + quantisation + head + tables + scan + bytes(blocks * 20 // 8) + END


def test_a_sampling_without_a_name_is_read_and_its_damage_noticed() -> None:
    whole = odd_sampling(8)
    assert "subsampling" in said(whole)
    assert np.array_equal(decode(whole, LIMIT), np.full((16, 256, 3), 128, np.uint8))
    for data in (odd_sampling(4), whole[:-10] + whole):
        with pytest.raises(InvalidImage, match="missing or wrong"):
            decode(data, LIMIT)


@pytest.mark.parametrize("bits", [2, 12, 16])
def test_bits_that_are_not_read_are_named(bits: int) -> None:
    with pytest.raises(InvalidImage, match=f"has {bits} bits a sample, and only 8"):
        decode(precise(WHOLE, bits), LIMIT)


def test_a_lost_packet_anywhere_is_noticed() -> None:
    data = encode(large(), "JPEG", quality=90)
    for at in range(1000, len(data) - 1500, 3000):
        with pytest.raises(InvalidImage):
            decode(data[:at] + data[at + 1400 :], LIMIT)


def test_cmyk_has_the_very_pixels_opencv_gives_though_opencv_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encode(P, "JPEG", "CMYK", quality=90)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("OpenCV was asked"))
    assert np.array_equal(decode(data, LIMIT), expected)
