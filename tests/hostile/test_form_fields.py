"""What stands in a form beside the pictures is honoured, or refused by its name: never silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server import Server

ENDPOINTS = {
    "/detect": ("file",),
    "/detect/batch": ("files",),
    "/compare": ("file_a", "file_b"),
}
each_endpoint = pytest.mark.parametrize("path", ENDPOINTS)


def post(
    server: Server, path: str, photo: Path, *more: tuple[str, Any], **query: str
) -> httpx.Response:
    """A form with the endpoint's files and with `more`: text, or a file's name and content."""
    files = [(field, ("a.jpg", photo.read_bytes())) for field in ENDPOINTS[path]]
    fields = [(name, value if isinstance(value, tuple) else (None, value)) for name, value in more]
    return server.client.post(path, files=[*fields, *files], params=query)


def faces_in(answer: dict[str, Any]) -> list[dict[str, Any]]:
    found = answer.get("results", [answer])[0]
    faces: list[dict[str, Any]] = found.get("a", found)["faces"]
    return faces


@each_endpoint
def test_an_option_is_honoured(server: Server, four_faces: Path, path: str) -> None:
    fields = [("max_faces", "2"), ("attributes", "false"), ("embedding_format", "base64")]
    response = post(server, path, four_faces, *fields)
    assert response.status_code == 200, response.text
    faces = faces_in(response.json())
    assert len(faces) == 2
    assert all(face["age"] is None for face in faces)
    assert all(isinstance(face["embedding"], str) for face in faces)


@each_endpoint
def test_options_of_form_and_query_go_together(server: Server, four_faces: Path, path: str) -> None:
    response = post(server, path, four_faces, ("max_faces", "2"), landmarks="false")
    faces = faces_in(response.json())
    assert [face["landmarks"] for face in faces] == [None, None]


@each_endpoint
@pytest.mark.parametrize(
    ("more", "query", "named"),
    [
        pytest.param([("nonsense", "1")], {}, "nonsense: is not a known option", id="unknown"),
        pytest.param([("max_face", "1")], {}, "max_face: is not a known option", id="misspelt"),
        pytest.param([("max_faces", "none")], {}, "max_faces: ", id="not a number"),
        pytest.param([("min_score", "2")], {}, "min_score: ", id="out of bounds"),
        pytest.param([("max_faces", "")], {}, "max_faces: ", id="empty"),
        pytest.param([("max_faces", "1")] * 2, {}, "max_faces: is given twice", id="twice"),
        pytest.param(
            [("max_faces", "1")],
            {"max_faces": "2"},
            "max_faces: is in the query and in the form",
            id="in both",
        ),
        pytest.param([("image_base64", "AAAA")], {}, "image_base64: ", id="of another endpoint"),
        pytest.param([("x" * 1000, "1")], {}, f"{'x' * 100}: is not", id="a long name"),
    ],
)
def test_what_has_no_effect_is_refused_by_its_name(
    server: Server,
    four_faces: Path,
    path: str,
    more: list[tuple[str, str]],
    query: dict[str, str],
    named: str,
) -> None:
    response = post(server, path, four_faces, *more, **query)
    assert response.status_code == 400, response.text
    assert response.json()["code"] == "invalid_request"
    assert response.json()["detail"].startswith(named)
    assert len(response.json()["detail"]) < 300


@pytest.mark.parametrize("path", [*ENDPOINTS, "/extract-embedding", "/embed", "/group"])
def test_an_option_that_the_query_has_twice_is_refused(server: Server, path: str) -> None:
    response = server.client.post(path, params=[("x" * 150, "1"), ("x" * 150, "2")])
    assert response.status_code == 400
    assert response.json()["code"] == "invalid_request"
    assert response.json()["detail"] == f"{'x' * 100}: is given twice"


@each_endpoint
def test_text_in_the_place_of_a_file_is_named(server: Server, four_faces: Path, path: str) -> None:
    field = ENDPOINTS[path][0]
    response = post(server, path, four_faces, (field, "C:\\face.jpg"))
    assert response.status_code == 400
    assert response.json()["detail"].startswith(f"The field '{field}' has to be a file")


def test_a_file_under_another_name_is_named(server: Server, four_faces: Path) -> None:
    response = post(
        server, "/detect/batch", four_faces, ("image", ("b.jpg", four_faces.read_bytes()))
    )
    assert response.status_code == 400
    assert response.json()["detail"] == "image: files are read from 'files' alone"


def test_the_document_describes_the_fields(server: Server) -> None:
    paths = server.client.get("/openapi.json").json()["paths"]
    for path, files in ENDPOINTS.items():
        operation = paths[path]["post"]
        form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
        query = {parameter["name"] for parameter in operation["parameters"]}
        assert set(form["properties"]) == {*files, *query}
        assert form["required"] == list(files)
        assert form["additionalProperties"] is False
