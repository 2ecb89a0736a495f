"""The pages as files: what may be loaded, how long it is kept, and that they can be closed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from face_service.routes.pages import STATIC
from tests.server import Server

OWN = sorted(path for path in STATIC.rglob("*") if path.is_file())
TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "html": "text/html"}
NAMES = {"http://www.w3.org/2000/svg"}
"""Addresses that are names of things and are never asked."""


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc"])
def test_a_page_may_load_from_its_own_origin_alone(server: Server, path: str) -> None:
    policy = server.client.get(path).headers["content-security-policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["connect-src"] == "'self'"
    assert directives["frame-ancestors"] == directives["base-uri"] == "'none'"
    assert not re.search(r"unsafe|https?:|\*", policy)


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_every_file_is_served_as_what_it_is(server: Server, path: Path) -> None:
    address = f"/static/{path.relative_to(STATIC).as_posix()}"
    first = server.client.get(address)
    assert first.content == path.read_bytes()
    assert first.headers["content-type"].split(";")[0] == TYPES[path.suffix[1:]]
    assert first.headers["cache-control"] == "no-cache", "kept, and asked about each time"
    again = server.client.get(address, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_no_file_names_another_host(path: Path) -> None:
    assert set(re.findall(r"https?://[^\s\"'`)<]+", path.read_text())) <= NAMES
    assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|<style", path.read_text())


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/static/docs/swagger-ui-bundle.js"])
def test_swagger_ui_and_redoc_come_from_the_service(server: Server, path: str) -> None:
    answer = server.client.get(path)
    assert answer.status_code == 200
    assert "cdn" not in answer.text[:2000]


def test_the_demo_can_be_closed(start_small_server: Callable[..., Server]) -> None:
    server = start_small_server(DEMO="false")
    server.wait_until_ready()
    for path in ("/", "/static/demo/app.js", "/static/demo/index.html"):
        answer = server.client.get(path)
        assert answer.status_code == 404
        assert set(answer.json()) == {"detail", "code", "request_id"}
        assert answer.json()["code"] == "not_found"
    assert server.client.get("/docs").status_code == 200
    server.stop()


@pytest.mark.parametrize(
    "path", ["/static/docs/nothing.js", "/static/docs/", "/static/docs/../../app.py", "/static"]
)
def test_what_is_not_there_has_the_one_error_shape(server: Server, path: str) -> None:
    answer = server.client.get(path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"detail", "code", "request_id"}
    assert server.client.post("/").status_code == 405
