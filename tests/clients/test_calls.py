"""A call of the clients on the wire: what is sent, and what is read of the answer."""

from __future__ import annotations

import httpx
import numpy as np
import pytest

from face_service_client import Client, similarity

from .conftest import Connect
from .misbehaving import EMBEDDING, Misbehaving


def test_an_answer_is_read(connect: Connect, misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")
    found = connect(url + "/", api_key="secret").detect(b"image", request_id="mine")
    (face,) = found.faces
    assert face.bbox.tolist() == [1.5, 2.0, 30.25, 40.0]
    assert face.bbox.dtype == face.embedding.dtype == face.landmarks.dtype == np.float32
    assert np.array_equal(face.embedding, EMBEDDING)
    assert face.landmarks.shape == (5, 2)
    assert (face.det_score, face.age, face.gender, face.error) == (0.75, 30, "F", None)
    assert (face.quality, face.usable, face.reasons) == (None, None, None)
    assert (found.image_width, found.image_height, found.model.pack) == (640, 480, "scripted")
    assert found.faces_omitted == 3
    assert found.stages == {"decode": 1.25, "detect": 2.5}
    assert seen[0].headers["Authorization"] == "Bearer secret"
    assert seen[0].headers["X-Request-ID"] == "mine"
    assert seen[0].path.endswith("/detect?embedding_format=base64")


def test_options_are_query_parameters(connect: Connect, misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")
    connect(url).detect(
        b"image", min_score=0.25, max_faces=2, min_face_size=20, embeddings=False, quality=False
    )
    assert dict(httpx.URL(f"http://x{seen[0].path}").params) == {
        "embedding_format": "none",
        "min_score": "0.25",
        "max_faces": "2",
        "min_face_size": "20",
        "quality": "false",
    }


def test_an_http_client_of_ones_own_stays_open(misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")
    with httpx.Client(headers={"X-Mine": "1"}) as http:
        with Client(url, http=http) as client:
            client.detect(b"image")
        assert not http.is_closed
    assert seen[0].headers["X-Mine"] == "1"


@pytest.mark.parametrize("address", ["localhost:8100", "ftp://localhost", "http:///detect", ""])
def test_an_address_that_is_none_is_refused_at_once(connect: Connect, address: str) -> None:
    with pytest.raises(ValueError, match="base_url begins with http"):
        connect(address)


@pytest.mark.parametrize("key", ["secret\n", "sec\nret", "secrét"])
def test_a_key_that_cannot_be_sent_is_said_and_not_shown(connect: Connect, key: str) -> None:
    with pytest.raises(ValueError, match="api_key") as caught:
        connect("http://localhost", api_key=key)
    assert "sec" not in str(caught.value)


@pytest.mark.parametrize("request_id", ["a\nb", "é", " "])
def test_an_id_that_cannot_be_sent_is_no_broken_connection(
    connect: Connect, misbehaving: Misbehaving, request_id: str
) -> None:
    url, seen = misbehaving.script("well")
    with pytest.raises(ValueError, match="request_id"):
        connect(url).detect(b"image", request_id=request_id)
    assert seen == []


def test_no_similarity_is_greater_than_1() -> None:
    one = np.array([0.8, 0.6001], np.float32)
    assert (similarity(one, one), similarity(one, -one)) == (1, -1)
