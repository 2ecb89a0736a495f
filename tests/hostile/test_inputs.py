"""Input that wants to hurt: each a clean error or a closed connection, and the next one right."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.hostile.pictures import lying_headers, mutations, png_bomb
from tests.images import encode
from tests.server import Server
from tests.wire import settled

FUZZED = 400
"""In ./test.sh; `python -m tests.fuzz` sends 20,000."""


@pytest.fixture(scope="module")
def target(start_small_server: Callable[..., Server]) -> Iterator[Server]:
    server = start_small_server(MAX_BODY_MB="8", REQUEST_TIMEOUT_S="20", LOG_LEVEL="WARNING")
    server.wait_until_ready()
    yield server
    server.stop_unharmed()


def resident(server: Server, peak: bool = True) -> float:
    """Most memory the server has ever held, or what it holds now, in MB."""
    name = "VmHWM" if peak else "VmRSS"
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1e3


def post_image(server: Server, data: bytes) -> httpx.Response:
    return server.client.post("/detect", content=data, headers={"Content-Type": "image/png"})


def refused(response: httpx.Response, *statuses: int) -> None:
    assert response.status_code in statuses, response.text[:300]
    assert set(response.json()) == {"detail", "code", "request_id"}
    assert isinstance(response.json()["detail"], str)


def test_a_png_of_400_million_pixels_costs_nothing(target: Server) -> None:
    bomb = png_bomb()
    assert len(bomb) < 2_000_000
    post_image(target, bomb)  # the connection's and the body's own memory
    before = resident(target)
    response = post_image(target, bomb)
    refused(response, 413)
    assert response.json()["code"] == "too_large"
    assert resident(target) - before < 5


@pytest.mark.parametrize("kind", lying_headers())
def test_a_header_of_400_million_pixels_is_refused(target: Server, kind: str) -> None:
    post_image(target, lying_headers()[kind])
    before = resident(target)
    refused(post_image(target, lying_headers()[kind]), 413)
    assert resident(target) - before < 5


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", id="svg"),
        pytest.param(b"%PDF-1.7\n%\xe2\xe3", id="pdf"),
        pytest.param(b"PK\x03\x04" + bytes(99), id="zip"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n", id="postscript"),
        pytest.param(b"\x00\x00\x00\x1cftypavif" + bytes(99), id="avif"),
        pytest.param(b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(99), id="jpeg 2000"),
        pytest.param(b"v/1\x01" + bytes(99), id="openexr"),
        pytest.param(b"#?RADIANCE\n", id="hdr"),
        pytest.param(b"P6 1 1 255\n\x00\x00\x00", id="ppm"),
        pytest.param(b"8BPS" + bytes(99), id="psd"),
    ],
)
def test_only_the_listed_formats_reach_a_decoder(target: Server, data: bytes) -> None:
    refused(post_image(target, data), 400)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GIF89a<script>alert(1)</script>", id="gif"),
        pytest.param(b"BM" + b"\n#!/bin/sh\n" * 9, id="bmp"),
    ],
)
def test_a_script_with_the_head_of_a_picture_is_a_picture_far_too_large(
    target: Server, data: bytes
) -> None:
    refused(post_image(target, data), 413)


def test_a_picture_with_something_behind_it_is_that_picture(target: Server) -> None:
    picture = encode(np.zeros((32, 48, 3), np.uint8), "JPEG")
    response = post_image(target, picture + b"PK\x03\x04<?php system('id') ?>" * 100)
    assert response.status_code == 200
    assert response.json()["image_width"] == 48


def test_exif_that_is_larger_than_the_picture_is_not_unpacked(target: Server) -> None:
    picture = encode(np.zeros((32, 48, 3), np.uint8), "JPEG")
    entry = struct.pack("<HHII", 0x9286, 7, 0xFFFFFFF0, 8)
    exif = b"Exif\x00\x00II*\x00" + struct.pack("<IH", 8, 5000) + entry * 5000
    segment = b"\xff\xe1" + struct.pack(">H", len(exif[:65000]) + 2) + exif[:65000]
    before = resident(target)
    response = post_image(target, picture[:2] + segment * 60 + picture[2:])
    assert (response.status_code, response.json()["image_width"]) == (200, 48), response.text
    assert resident(target) - before < 40


def test_thousands_of_parts_are_refused(target: Server) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="a%d"\r\n\r\n1\r\n'
    body = b"".join(part % n for n in range(20_000)) + b"--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    refused(target.client.post("/detect", content=body, headers=headers), 400)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"--x\r\n" + b"a" * 1_000_000, id="no end"),
        pytest.param(
            b"\r\n".join([b"--x", b"h: " + b"v" * 100_000, b"", b"1", b"--x--"]), id="head"
        ),
        pytest.param(b"--x\r\n" + b"h: v\r\n" * 10_000 + b"\r\n1\r\n--x--", id="many heads"),
        pytest.param(b"", id="empty"),
        pytest.param(b"--y\r\n\r\n", id="another boundary"),
    ],
)
def test_broken_forms_are_refused(target: Server, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    refused(target.client.post("/detect", content=body, headers=headers), 400)


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=", "image/" + "x" * 9000]
)
def test_odd_content_types_are_refused(target: Server, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    refused(target.client.post("/detect", content=b"--x\r\n", headers=headers), 400)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 100_000, id="deep list"),
        pytest.param(b'{"image_base64":' * 50_000, id="deep object"),
        pytest.param(b'{"image_base64": "' + b"A" * 7_000_000 + b'"}', id="7 MB of nothing"),
        pytest.param(b'{"image_base64": 1e999999}', id="number"),
        pytest.param(b'{"image_base64": "\\ud800"}', id="half a surrogate"),
        pytest.param(b"\xff\xfe\x00", id="no utf-8"),
        pytest.param(json.dumps({"image_base64": "data:image/png;base64,"}).encode(), id="no data"),
        pytest.param(b'{"image_base64": "aGk=", "min_score": 1e400}', id="infinity"),
    ],
)
def test_odd_json_is_refused(target: Server, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    refused(target.client.post("/extract-embedding", content=body, headers=headers), 400)


def test_half_a_million_names_in_json_cost_nothing(target: Server) -> None:
    names = b",".join(b'"%x": 1' % n for n in range(500_000))
    before = resident(target)
    headers = {"Content-Type": "application/json"}
    body = b'{"image_base64": "aGk=", %b}' % names
    refused(target.client.post("/extract-embedding", content=body, headers=headers), 400)
    assert resident(target) - before < 40


@pytest.mark.parametrize("charset", ["undefined", "unicode_escape", "utf-7", "idna", "nonsense"])
def test_a_form_whose_charset_is_any_of_pythons_is_read(target: Server, charset: str) -> None:
    headers = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
    disposition = b'Content-Disposition: form-data; name="files"; filename="+2AA-\\ud800 \xc3\xa9"'
    body = b"\r\n".join([b"--x", disposition, b"", b"no image", b"--x--", b""])
    response = target.client.post("/detect/batch", content=body, headers=headers)
    assert response.status_code == 200, response.text[:300]
    (result,) = response.json()["results"]
    assert (result["file"], result["status"]) == (r"+2AA-\ud800 é", 400)


def test_100_mb_of_base64_are_not_read(target: Server) -> None:
    def body() -> Iterator[bytes]:
        yield b'{"image_base64": "'
        for _ in range(100):
            yield b"A" * 1_000_000

    before = resident(target)
    headers = {"Content-Type": "application/json"}
    refused(target.client.post("/extract-embedding", content=body(), headers=headers), 413)
    assert resident(target) - before < 40


def test_mutated_images_never_hurt(target: Server) -> None:
    before, statuses = resident(target, peak=False), set()
    for data in mutations(FUZZED, seed=7):
        response = post_image(target, data)
        statuses.add(response.status_code)
        if response.status_code != 200:
            refused(response, 400, 413)
    assert statuses <= {200, 400, 413}
    assert {200, 400} <= statuses, "the mutations are too mild or too wild"
    # What has been freed goes back to the system every ten seconds.
    settled(lambda: resident(target, peak=False) - before < 60)


def test_after_all_that_a_photo_has_its_faces(target: Server, four_faces: Path) -> None:
    response = post_image(target, four_faces.read_bytes())
    assert len(response.json()["faces"]) == 4
