"""Memory: what decoding takes is what it is charged with, and where there is none a 503 says so."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from face_service.errors import OutOfMemory
from face_service.serving.answers import as_request_error, parts
from face_service.vision.image import check
from tests import commands
from tests.conftest import ROOT
from tests.formats import heic
from tests.images import encode
from tests.server import Server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by prlimit")
SIZE = (3000, 4000)
LEFT = 24_000_000
"""Bytes of address space that are left: less than the 36 MB of the picture."""
FORMATS: dict[str, dict[str, object]] = {
    "JPEG": {},
    "progressive JPEG": {"progressive": True},
    "PNG": {},
    "WEBP": {"quality": 30, "method": 0},
    "BMP": {"mode": "L"},
    "TIFF": {"compression": "tiff_lzw"},
    "GIF": {},
    "HEIC": {},
    "AVIF": {"speed": 10},
}

DECODE = """
import resource, sys
from pathlib import Path
from face_service.errors import OutOfMemory
from face_service.vision.image import check, decode_checked

image = check(Path(sys.argv[1]).read_bytes(), 10**9)
decode_checked(check(Path(sys.argv[2]).read_bytes(), 10**9))
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    decode_checked(image)
except OutOfMemory as error:
    print("out of memory:", error.status, error.code)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(decode_checked(image).shape)
"""


def picture(kind: str, size: tuple[int, int] = SIZE) -> bytes:
    image = np.full((*size, 3), 90, np.uint8)
    if kind == "HEIC":
        return heic(image)
    return encode(image, kind.split()[-1], **FORMATS[kind])


@pytest.mark.parametrize("kind", FORMATS)
def test_a_sound_picture_without_memory_is_not_damaged(kind: str, tmp_path: Path) -> None:
    large, small = tmp_path / "large", tmp_path / "small"
    size = {"AVIF": (1500, 2000), "HEIC": (2400, 3000)}.get(kind, SIZE)  # they are slow to write
    large.write_bytes(picture(kind, size))
    small.write_bytes(picture(kind, (50, 60)))
    said = commands.output(DECODE, tmp_path, large, small, LEFT)
    assert said.splitlines() == ["out of memory: 503 out_of_memory", str((*size, 3))]


def test_a_server_without_memory_says_so_and_goes_on(
    start_small_server: Callable[..., Server],
) -> None:
    server = start_small_server()
    server.wait_until_ready()

    def post(data: bytes) -> tuple[int, str | None]:
        answer = server.client.post("/detect", content=data, headers={"Content-Type": "image/png"})
        return answer.status_code, answer.json().get("code")

    pid, data = server.process.pid, picture("PNG")
    post(picture("PNG", (50, 60)))
    taken = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(pid, resource.RLIMIT_AS, (taken + LEFT, resource.RLIM_INFINITY))
    assert post(data) == (503, "out_of_memory")
    resource.prlimit(pid, resource.RLIMIT_AS, unlimited)
    assert post(data) == (200, None)
    assert server.stop() == 0


def test_memory_that_runs_out_anywhere_on_the_way_is_a_503() -> None:
    assert isinstance(as_request_error(MemoryError()), OutOfMemory)


def test_what_opencv_throws_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        error = cv2.error("Insufficient memory")
        error.code = cv2.Error.StsNoMem
        raise error

    monkeypatch.setattr(cv2, "imdecode", fails)
    image = check(encode(np.zeros((8, 8, 3), np.uint8), "PNG"), 100)
    from face_service.vision.image import decode_checked

    with pytest.raises(OutOfMemory):
        decode_checked(image)


def test_decoding_takes_no_more_than_it_is_charged_with() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.decoding_memory", "--megapixels", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) > 30


def test_a_picture_that_takes_more_than_the_budget_goes_alone() -> None:
    """MAX_DECODED_MB has room for the pixels of an image of MAX_IMAGE_PIXELS, and need not have
    for what decoding it takes."""
    image = check(encode(np.zeros((100, 100, 3), np.uint8), "PNG"), 10_000)
    assert image.decoded_bytes == 70_000
    three = {0: image, 1: image, 2: image}
    assert [part.places for part in parts(three, 0, 8, 30_000)] == [[0], [1], [2]]
    assert [part.places for part in parts(three, 0, 8, 140_000)] == [[0, 1], [2]]
