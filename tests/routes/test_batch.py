"""POST /detect/batch: each file has its answer, in order."""

from __future__ import annotations

import numpy as np

from face_service.schemas import BatchResponse, ErrorResponse
from face_service.vision.blob import Image
from tests.images import encode
from tests.server import Server

from .conftest import assert_error, post, post_batch


def test_a_batch_answers_each_file_in_order(server: Server, group: bytes, pixels: Image) -> None:
    few = encode(np.ascontiguousarray(pixels[:, 330:]), "PNG")
    none = encode(np.zeros((300, 300, 3), np.uint8), "PNG")

    body = post_batch(server, [few, none, group, few]).json()

    BatchResponse.model_validate(body, strict=True)
    assert [result["file"] for result in body["results"]] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    for result, data in zip(body["results"], [few, none, group, few], strict=True):
        alone = post(server, data).json()
        assert result["status"] == 200
        assert result["image_width"] == alone["image_width"]
        for together, single in zip(result["faces"], alone["faces"], strict=True):
            assert np.dot(together.pop("embedding"), single.pop("embedding")) > 0.99999
            assert together == single


def test_a_bad_file_in_a_batch_costs_only_itself(server: Server, group: bytes) -> None:
    files = [group, b"", b"text", group[: len(group) // 2], group]
    response = post_batch(server, files, max_faces=2, embedding_format="none", attributes=False)
    assert response.status_code == 200
    results = response.json()["results"]
    assert [result["status"] for result in results] == [200, 400, 400, 400, 200]
    assert [len(result["faces"]) for result in results] == [2, 0, 0, 0, 2]
    for result in results[1:4]:
        ErrorResponse.model_validate(result["error"], strict=True)
        assert result["error"]["code"] == "invalid_image"
    only_bad = post_batch(server, [b"text"])
    assert only_bad.status_code == 200
    assert only_bad.json()["results"][0]["status"] == 400


def test_a_batch_has_a_bounded_number_of_files(server: Server) -> None:
    assert_error(post_batch(server, [b"x"] * 33), 400, "invalid_request", "32")
    empty = server.client.post("/detect/batch", files={"file": b"x"})
    assert_error(empty, 400, "invalid_request", "'files'")
