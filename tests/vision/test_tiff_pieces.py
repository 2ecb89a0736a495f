"""Strips of a TIFF that lack data where no decoder says so."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from face_service.vision.tiff_pieces import DEFLATE, JPEG, has_lost_bytes
from tests.images import encode
from tests.vision.format_cases import P

ROWS = np.random.default_rng(0).integers(0, 40, 60_000, np.uint8).tobytes()
PACKED = zlib.compress(ROWS)
HALF = len(PACKED) // 2


def lost(piece: bytes, compression: int = DEFLATE) -> bool:
    """Whether the second of two pieces lacks data, between bytes of others."""
    whole = PACKED if compression == DEFLATE else encode(P, "JPEG")
    data = whole + piece + b"and more"
    pieces = (0, len(whole)), (len(whole), len(piece))
    return has_lost_bytes(data, compression, pieces, len(ROWS))


def test_whole_pieces_lack_nothing() -> None:
    assert not lost(PACKED)
    assert not lost(PACKED + bytes(100)), "padded"
    assert not lost(zlib.compress(ROWS[:1000])), "the last strip has fewer rows"
    assert not lost(encode(P, "JPEG") + bytes(100), JPEG)
    assert not lost(encode(P, "JPEG")[:-2], JPEG), "no more than its end"


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(PACKED[:HALF], id="cut"),
        pytest.param(PACKED[:HALF] + bytes(HALF), id="zeros at the end"),
        pytest.param(PACKED[:HALF] + bytes(32) + PACKED[HALF + 32 :], id="zeros within"),
        pytest.param(PACKED[:-1] + bytes((PACKED[-1] ^ 1,)), id="another checksum"),
        pytest.param(bytes(HALF), id="all of it zeros"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_deflate_that_is_damaged_lacks_something(piece: bytes) -> None:
    assert lost(piece)


def test_zeros_that_are_valid_codes_are_not_inflated_for_ever() -> None:
    """A strip that would be a thousand times as large as its part of the picture."""
    assert lost(zlib.compress(bytes(50_000_000)))


def test_zeros_in_place_of_the_end_of_a_jpeg() -> None:
    assert lost(encode(P, "JPEG")[:-40] + bytes(40), JPEG)
