"""Headers of TIFF that promise more than a picture of that size can have."""

from __future__ import annotations

import pytest

from face_service.errors import InvalidImage
from face_service.vision.image import check
from face_service.vision.tiff import LEAST_TILE, MAX_ENTRIES
from tests.hostile.pictures import tiff

LIMIT = 50_000_000


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(tiff((322, 4, 1, 8192), (323, 4, 1, 8192)), "tiles", id="tile"),
        pytest.param(tiff((322, 4, 1, 16), (323, 4, 1, 2048)), "tiles", id="tall tile"),
        pytest.param(tiff((273, 4, 41, 8)), "pieces", id="strips"),
        pytest.param(
            tiff((322, 4, 1, 16), (323, 4, 1, 16), (324, 4, 13, 8)), "pieces", id="tiles' offsets"
        ),
        pytest.param(tiff((700, 1, 10_000_000, 8)), "promises more", id="value"),
        pytest.param(
            tiff(*[(1000 + n, 1, 1000, 8) for n in range(50)]), "promises more", id="shared values"
        ),
        pytest.param(tiff((256, 4, 2, 8)), "tag 256", id="two widths"),
        pytest.param(tiff((256, 5, 1, 8)), "tag 256", id="a width that is a fraction"),
        pytest.param(tiff(width=0), "no pixels", id="no width"),
        pytest.param(tiff(height=0), "pieces", id="no height"),
        pytest.param(
            tiff(*[(1000 + n, 1, 1, 8) for n in range(MAX_ENTRIES)]), "entries", id="entries"
        ),
        pytest.param(tiff((277, 3, 1, 65_535)), "65535 samples", id="samples"),
        pytest.param(tiff((277, 3, 1, 0)), "0 samples", id="no samples"),
        pytest.param(tiff((258, 3, 1, 128)), "of 128 bits", id="bits"),
        pytest.param(b"II*\x00\xff\xff\xff\xff", "cut short", id="directory beyond the file"),
    ],
)
def test_a_tiff_that_promises_too_much_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(InvalidImage, match=said):
        check(data, LIMIT)


def test_a_usual_tile_is_larger_than_a_small_picture() -> None:
    side = LEAST_TILE
    header = check(tiff((322, 4, 1, side), (323, 4, 1, side)), LIMIT).header
    assert header.decoding_bytes > side * side
