"""Requests that cannot be answered: a 4xx in the one error shape, with a sentence."""

from __future__ import annotations

import base64
from collections.abc import Callable

import numpy as np
import pytest

from tests.images import encode
from tests.server import Server

from .conftest import assert_error, post


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ["empty"]),
        (b"just text", ["Invalid image format. Supported: JPEG, PNG, WebP, BMP, TIFF"]),
        (b"<!doctype html><html></html>", ["Invalid image format"]),
        (b"PK\x03\x04" + bytes(100), ["Invalid image format"]),
        (b"\xff\xd8\xff\xe0" + bytes(100), ["JPEG"]),
    ],
    ids=["empty", "text", "html", "zip", "broken"],
)
def test_what_is_not_an_image_is_a_400(server: Server, data: bytes, words: list[str]) -> None:
    assert_error(post(server, data), 400, "invalid_image", *words)
    encoded = {"image_base64": base64.b64encode(data).decode()}
    response = server.client.post("/extract-embedding", json=encoded)
    assert_error(response, 400, "invalid_image", *words)


def test_a_truncated_jpeg_is_a_400(server: Server, group: bytes) -> None:
    assert_error(post(server, group[: len(group) // 2]), 400, "invalid_image", "cut short")


def test_a_request_without_an_image_is_a_400(server: Server, group: bytes) -> None:
    client = server.client
    assert_error(client.post("/detect"), 400, "invalid_request", "'file'")
    wrong = client.post("/detect", files={"photo": group})
    assert_error(wrong, 400, "invalid_request", "'file'")
    field = client.post("/detect", data={"file": "text"}, files={"other": b"x"})
    assert_error(field, 400, "invalid_request", "'file'")
    text = client.post("/detect", content=group, headers={"content-type": "text/plain"})
    assert_error(text, 400, "invalid_request", "image/*")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"image_base64": 5}', b'{"image_base64": "@@"}', b"\xff\xfe"],
)
def test_a_bad_json_body_is_a_400(server: Server, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = server.client.post("/extract-embedding", content=body, headers=headers)
    assert_error(response, 400, "invalid_request")


def test_errors_of_the_framework_have_the_same_shape(server: Server) -> None:
    assert_error(server.client.get("/nowhere"), 404, "not_found")
    response = server.client.get("/detect")
    assert_error(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"
    broken = server.client.post(
        "/detect",
        content=b"--x\r\nrubbish",
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert_error(broken, 400, "invalid_request")


def test_limits_are_413(start_small_server: Callable[..., Server]) -> None:
    small = start_small_server(MAX_BODY_MB="0.6", MAX_IMAGE_PIXELS="1000000")
    small.wait_until_ready()
    picture = encode(np.zeros((868, 1200, 3), np.uint8), "JPEG")
    assert_error(post(small, picture), 413, "too_large", "1200x868", "1000000")
    assert_error(post(small, bytes(700_000)), 413, "too_large", "600,000 bytes")

    def chunks() -> object:
        for _ in range(90):
            yield bytes(10_000)

    undeclared = small.client.post(
        "/detect", content=chunks(), headers={"content-type": "image/png"}
    )
    assert_error(undeclared, 413, "too_large", "600,000 bytes")
    assert small.client.get("/health").status_code == 200
