"""POST /group: faces to tracks, tracks to groups, over a running server."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from face_service.schemas.grouping import GroupResponse
from tests.server import Server

from .conftest import assert_error, faces_of

DIMENSION = 512
Vectors = NDArray[np.float32]


@pytest.fixture(scope="module")
def people(server: Server, group: bytes) -> Vectors:
    """The embeddings of four people on a real photo."""
    found = [face["embedding"] for face in faces_of(server, group)]
    return np.array(found, np.float32)


def near(vector: Vectors, seed: int, noise: float = 0.5) -> Vectors:
    """Another face of the same person: cosine about 1 / √(1 + noise²)."""
    random = np.random.default_rng(seed)
    found = vector + noise * random.standard_normal(DIMENSION) / np.sqrt(DIMENSION)
    return (found / np.linalg.norm(found)).astype(np.float32)


def as_base64(vector: Vectors) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def seen(vector: Vectors, **fields: Any) -> dict[str, Any]:
    return {"embedding": as_base64(vector), **fields}


def post(server: Server, faces: Sequence[dict[str, Any]], **options: Any) -> httpx.Response:
    return server.client.post("/group", json={"faces": list(faces), **options})


def grouped(server: Server, faces: Sequence[dict[str, Any]], **options: Any) -> dict[str, Any]:
    response = post(server, faces, **options)
    assert response.status_code == 200, response.text
    GroupResponse.model_validate(response.json(), strict=True)
    assert {"parse", "group", "serialise"} <= {
        part.split(";")[0].strip() for part in response.headers["server-timing"].split(",")
    }
    return response.json()


def test_faces_of_two_videos_become_tracks_and_people(server: Server, people: Vectors) -> None:
    anna, boris, clara, _ = people
    left, right = [10, 10, 60, 60], [200, 10, 250, 60]
    faces = [
        seen(near(anna, 1), time=0.0, bbox=left, quality=0.6, source="one"),
        seen(near(boris, 2), time=0.0, bbox=right, quality=0.7, source="one"),
        seen(near(anna, 3), time=1.0, bbox=[14, 12, 64, 62], quality=0.9, source="one"),
        seen(near(boris, 4), time=1.0, bbox=right, quality=0.5, source="one"),
        seen(near(clara, 5), time=2.0, bbox=left, quality=0.8, source="one"),  # after a cut
        seen(near(anna, 6), time=9.0, bbox=left, quality=0.4, source="one"),  # much later
        seen(near(anna, 7), time=1.0, bbox=left, quality=0.7, source="other"),
        seen(near(clara, 8)),
    ]
    found = grouped(server, faces)
    assert [track["faces"] for track in found["tracks"]] == [[0, 2], [1, 3], [4], [5], [6], [7]]
    assert found["track_labels"] == [0, 1, 0, 1, 2, 3, 4, 5]
    assert [group["faces"] for group in found["groups"]] == [[0, 2, 5, 6], [1, 3], [4, 7]]
    assert found["group_labels"] == [0, 1, 0, 1, 2, 0, 0, 2]
    assert [group["tracks"] for group in found["groups"]] == [[0, 3, 4], [1], [2, 5]]
    first = found["tracks"][0]
    assert (first["source"], first["start"], first["end"], first["best"]) == ("one", 0.0, 1.0, 2)
    assert found["tracks"][5]["start"] is None
    assert found["groups"][0]["representatives"][0] == 2, "the best quality"
    assert 5 not in found["groups"][0]["representatives"], "its quality is below 0.5"
    assert found["thresholds"] == {"group_similarity": 0.423, "track_similarity": 0.242}


def test_the_three_kinds_of_body_say_the_same(server: Server, people: Vectors) -> None:
    vectors = np.stack([near(people[n % 4], n) for n in range(12)])
    described = [{"time": float(n // 4), "bbox": [n, 0, n + 9, 9]} for n in range(12)]
    faces = [seen(v, **d) for v, d in zip(vectors, described, strict=True)]
    arrays = [{**d, "embedding": v.tolist()} for v, d in zip(vectors, described, strict=True)]
    binary = vectors.astype("<f4").tobytes()
    text = json.dumps(described)
    send = server.client.post
    answers = [
        post(server, faces, max_gap=5),
        post(server, arrays, max_gap=5),
        send("/group?max_gap=5", json={"faces": faces}),
        send("/group", files={"embeddings": binary}, data={"faces": text, "max_gap": "5"}),
        send("/group?max_gap=5", files={"embeddings": binary, "faces": text.encode()}),
        post(server, faces, max_gap=5),
    ]
    bodies = [answer.json() for answer in answers]
    for body in bodies:
        del body["processing_time_ms"], body["request_id"]
    assert all(body == bodies[0] for body in bodies)
    assert len(bodies[0]["groups"]) == 4
    alone = send("/group", content=binary, headers={"content-type": "application/octet-stream"})
    assert alone.json()["track_labels"] == list(range(12)), "nothing is known of time"
    assert len(alone.json()["groups"]) == 4


def test_two_faces_of_one_frame_are_two_people(server: Server, people: Vectors) -> None:
    faces = [seen(people[0], time=3.0, source="a"), seen(people[0], time=3.0, source="a")]
    assert len(grouped(server, faces)["groups"]) == 2
    faces[1]["source"] = "b"
    assert len(grouped(server, faces)["groups"]) == 1


def test_mean_embeddings_are_those_of_the_faces(server: Server, people: Vectors) -> None:
    pair = [near(people[0], 1), near(people[0], 2)]
    faces = [seen(3 * pair[0], time=0), seen(pair[1], time=1)]
    found = grouped(server, faces, embedding_format="base64")
    mean = np.frombuffer(base64.b64decode(found["groups"][0]["embedding"]), "<f4")
    expected = np.sum(pair, axis=0) / np.linalg.norm(np.sum(pair, axis=0))
    assert np.abs(mean - expected).max() < 1e-6, "each has the same weight, whatever its norm"
    assert found["tracks"][0]["embedding"] == found["groups"][0]["embedding"]


def test_similarities_decide_what_is_joined(server: Server, people: Vectors) -> None:
    faces = [seen(near(people[0], 1, 1.0)), seen(near(people[0], 2, 1.0))]
    assert len(grouped(server, faces, group_similarity=0.2)["groups"]) == 1
    assert len(grouped(server, faces, group_similarity=0.9)["groups"]) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"embedding": "not base64!"}, ["faces.1.embedding", "base64"]),
        ({"embedding": "AAAA"}, ["faces.1.embedding"]),
        ({"embedding": [0.1] * 128}, ["faces.1.embedding", "128", "512"]),
        ({"embedding": [0.0] * 512}, ["faces.1.embedding", "zero"]),
        ({"embedding": [1e39] * 512}, ["faces.1.embedding"]),
        ({"embedding": as_base64(np.full(512, np.nan, np.float32))}, ["faces.1.embedding"]),
        ({"embedding": None}, ["faces.1.embedding"]),
        ({"bbox": [0, 0, 1]}, ["faces.1.bbox"]),
        ({"bbox": [0, 0, 1, 1e9]}, ["faces.1.bbox"]),
        ({"time": "soon"}, ["faces.1.time"]),
        ({"quality": 1.5}, ["faces.1.quality"]),
        ({"source": "x" * 201}, ["faces.1.source"]),
        ({"name": "Anna"}, ["faces.1.name", "not a known option"]),
    ],
)
def test_a_bad_face_is_named(
    server: Server, people: Vectors, change: dict[str, Any], words: list[str]
) -> None:
    faces = [seen(people[0]), {**seen(people[1]), **change}]
    assert_error(post(server, faces), 400, "invalid_request", *words)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", ["Invalid JSON"]),
        (b"[]", ["GroupRequest"]),
        (b'{"faces": []}', ["faces"]),
        (b'{"faces": [{"embedding": NaN}]}', ["faces.0.embedding"]),
        (b'{"faces": [' + b"[" * 100_000, ["arrays"]),
        (b'{"faces": [' + b"{}," * 20_000 + b"{}]}", ["base64"]),
        (b'{"faces": [{"embedding": [' + b"0," * 1_200_000 + b"0]}]}", ["base64"]),
    ],
)
def test_a_bad_body_is_refused(server: Server, body: bytes, words: list[str]) -> None:
    response = server.client.post(
        "/group", content=body, headers={"content-type": "application/json"}
    )
    assert_error(response, 400, "invalid_request", *words)


def test_forms_that_do_not_fit_are_refused(server: Server, people: Vectors) -> None:
    binary = people.astype("<f4").tobytes()

    def form(**fields: Any) -> httpx.Response:
        files = {"embeddings": fields.pop("embeddings", binary)}
        return server.client.post("/group", files=files, data=fields)

    assert_error(form(embeddings=binary[:-3]), 400, "invalid_request", "embeddings", "512")
    assert_error(form(embeddings=b""), 400, "invalid_request", "embeddings")
    assert_error(form(faces="[{}]"), 400, "invalid_request", "1 faces", "4 embeddings")
    assert_error(form(faces="[{}, {}, {}, 5]"), 400, "invalid_request", "faces.3")
    assert_error(form(faces='[{"embedding": [1]}]'), 400, "invalid_request", "embedding")
    assert_error(form(max_gap="-1"), 400, "invalid_request", "max_gap")
    assert_error(form(min_score="0"), 400, "invalid_request", "min_score: is not a known option")
    none = server.client.post("/group", files={"faces": b"[]"})
    assert_error(none, 400, "invalid_request", "'embeddings'")
    text = server.client.post("/group", content=b"x", headers={"content-type": "text/plain"})
    assert_error(text, 400, "invalid_request", "application/json")
    twice = server.client.post(
        "/group?max_gap=1", files={"embeddings": binary}, data={"max_gap": "2"}
    )
    assert_error(twice, 400, "invalid_request", "max_gap: is in the query and in the form")


def test_most_faces_are_bounded(start_small_server: Any, people: Vectors) -> None:
    server = start_small_server(MAX_GROUP_FACES="3")
    server.wait_until_ready()
    assert_error(
        server.client.post(
            "/group",
            content=people.tobytes(),
            headers={"content-type": "application/octet-stream"},
        ),
        400,
        "invalid_request",
        "MAX_GROUP_FACES",
    )
    assert_error(post(server, [seen(one) for one in people]), 400, "invalid_request", "3 faces")
