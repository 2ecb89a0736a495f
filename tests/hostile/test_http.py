"""HTTP as it is sent by real clients, by odd ones, and by probes: an answer, the right one."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.hostile.sockets import answers, talk
from tests.routes.conftest import assert_error
from tests.server import Server

ORIGIN = "https://app.example"
GETS = ["/health", "/health/live", "/health/ready", "/", "/docs", "/redoc", "/metrics", "/models",
        "/openapi.json", "/static/docs/swagger-ui-bundle.js"]  # fmt: skip


@pytest.fixture(scope="module")
def target(start_small_server: Callable[..., Server]) -> Iterator[Server]:
    server = start_small_server(CORS_ORIGINS=ORIGIN, LOG_LEVEL="WARNING")
    server.wait_until_ready()
    yield server
    server.stop_unharmed()


@pytest.fixture(scope="module")
def photo(six_faces: object) -> bytes:
    return six_faces.read_bytes()  # type: ignore[attr-defined]


def post(body: bytes, *headers: bytes, target: bytes = b"/detect") -> bytes:
    """A POST of an image."""
    lines = [b"POST %b HTTP/1.1" % target, b"host: x", b"content-type: image/jpeg", *headers]
    if not any(header.startswith(b"transfer-encoding") for header in headers):
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])


def chunked(body: bytes) -> bytes:
    pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


H2C = (b"connection: Upgrade, HTTP2-Settings", b"upgrade: h2c", b"http2-settings: AAMAAABkAAQ")
OFFERS = {
    "h2c": H2C,
    "websocket": (b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-version: 13"),
    "another": (b"connection: keep-alive, Upgrade", b"upgrade: TLS/1.0, something/2"),
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("way", ["whole", "body apart", "in pieces", "chunked", "pipelined"])
def test_an_offer_of_another_protocol_does_not_cost_the_body(
    target: Server, photo: bytes, offer: tuple[bytes, ...], way: str
) -> None:
    if way == "chunked":
        request = post(chunked(photo), *offer, b"transfer-encoding: chunked")
    else:
        request = post(photo, *offer)
    head, _, body = request.partition(b"\r\n\r\n")
    pieces = {
        "body apart": [head + b"\r\n\r\n", body],
        "in pieces": [request[at : at + 1] for at in range(len(head) + 4)] + [body],
        "pipelined": [request * 2],
    }.get(way, [request])
    # The end of the sending side would count as leaving.
    last = b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    pause = 0.1 if way == "body apart" else 0
    found = answers(talk(target, *pieces[:-1], pieces[-1] + last, pause=pause, end=False))
    assert [answer.status for answer in found] == [200] * (3 if way == "pipelined" else 2)
    assert all(len(answer.json["faces"]) == 6 for answer in found[:-1])  # type: ignore[arg-type]


def test_an_offer_with_a_form_and_with_json(target: Server, photo: bytes) -> None:
    form = httpx.Request("POST", "http://x/detect", files={"file": photo})
    text = json.dumps({"image_base64": base64.b64encode(photo).decode()}).encode()
    for path, kind, body in (
        (b"/detect", form.headers["content-type"].encode(), form.read()),
        (b"/extract-embedding", b"application/json", text),
    ):
        lines = [b"POST %b HTTP/1.1" % path, b"host: x", b"content-type: " + kind, *H2C,
                 b"content-length: %d" % len(body)]  # fmt: skip
        request = b"\r\n".join([*lines, b"", body])
        last = b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        first, _ = answers(talk(target, request + last, end=False))
        assert (first.status, len(first.json["faces"])) == (200, 6)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", GETS)
def test_head_is_get_without_the_body(target: Server, path: str) -> None:
    got, head = target.client.get(path), target.client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"") == (200, b"")
    changing = {"date", "x-request-id", "content-length"}
    assert {k: v for k, v in head.headers.items() if k not in changing} == {
        k: v for k, v in got.headers.items() if k not in changing
    }
    if path not in ("/health", "/metrics"):  # uptime and counters move
        assert head.headers["content-length"] == got.headers["content-length"]
    # On the wire: nothing behind the headers, and the next answer in its place.
    line = path.encode()
    sent = (
        b"HEAD %b HTTP/1.1\r\nhost: x\r\n\r\n"
        b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" % line
    )
    first, second = answers(talk(target, sent, end=False), heads=[0])
    assert (first.status, second.status, second.json) == (200, 200, {"status": "alive"})


def test_head_says_when_the_service_is_not_ready(start_small_server: Callable[..., Server]) -> None:
    server = start_small_server(DRAIN_GRACE_S="20")
    server.wait_until_ready()
    server.process.terminate()
    deadline = time.monotonic() + 10
    while (head := httpx.head(f"{server.url}/health/ready")).status_code == 200:
        assert time.monotonic() < deadline
    assert (head.status_code, head.content) == (503, b"")
    server.process.terminate()


def test_head_of_what_has_no_get_is_refused_without_a_body(target: Server) -> None:
    response = target.client.head("/detect")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert (response.content, int(response.headers["content-length"]) > 0) == (b"", True)


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize("path", ["/detect/", "/health/", "/docs/", "//evil.example/detect"])
def test_a_slash_too_many_is_no_redirect(target: Server, method: str, path: str) -> None:
    response = target.client.request(method, target.url + path)
    assert response.status_code == 404
    assert "location" not in response.headers
    if method != "HEAD":
        assert_error(response, 404, "not_found")


HOSTS = {
    "none": (b"1.1", b"", 400),
    "two": (b"1.1", b"host: a\r\nhost: b\r\n", 400),
    "the same twice": (b"1.1", b"Host: a\r\nhost: a\r\n", 400),
    "two, HTTP/1.0": (b"1.0", b"host: a\r\nhost: b\r\n", 400),
    "none, HTTP/1.0": (b"1.0", b"", 200),
    "empty": (b"1.1", b"host:\r\n", 200),
}


@pytest.mark.parametrize("case", HOSTS.values(), ids=HOSTS)
def test_a_request_has_one_host(target: Server, case: tuple[bytes, bytes, int]) -> None:
    version, lines, status = case
    head = b"GET http://c/health/live HTTP/%b\r\n%bconnection: close\r\n\r\n" % (version, lines)
    (answer,) = answers(talk(target, head, end=False))
    assert answer.status == status
    if status == 400:
        assert (answer.json["code"], answer.json["detail"]) == (
            "bad_request",
            "A request has one Host header",
        )


ODD_TARGETS = {
    "connect": b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n",
    "no path": b"GET http://example.com HTTP/1.1\r\nhost: x\r\n\r\n",
    "port": b"GET http://x:99999/health HTTP/1.1\r\nhost: x\r\n\r\n",
    "not ascii": b"GET /h\xc3\xa9alth HTTP/1.1\r\nhost: x\r\n\r\n",
    "latin-1": b"GET /h\xe9alth HTTP/1.1\r\nhost: x\r\n\r\n",
    "connect that offers": b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n"
    b"upgrade: websocket\r\n\r\n",
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "no method": b" / HTTP/1.1\r\nhost: x\r\n\r\n",
}


@pytest.mark.parametrize("odd", ODD_TARGETS.values(), ids=ODD_TARGETS)
@pytest.mark.parametrize("place", ["first", "second"])
def test_a_target_that_is_none_has_the_one_error_shape(
    target: Server, odd: bytes, place: str
) -> None:
    received = b""
    with socket.create_connection(("127.0.0.1", target.port), timeout=25) as connection:
        if place == "second":
            connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
            received = connection.recv(65536)
        connection.sendall(odd)
        while data := connection.recv(65536):
            received += data
    *_, last = found = answers(received)
    assert len(found) == (2 if place == "second" else 1)
    assert last.status == 400, received
    assert set(last.json) == {"detail", "code", "request_id"}


def test_options_of_the_whole_server_are_those_of_nothing(target: Server) -> None:
    request = b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    (answer,) = answers(talk(target, request, end=False))
    assert (answer.status, answer.json["code"]) == (404, "not_found")


def test_an_address_that_is_too_long_is_refused(target: Server) -> None:
    request = b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n"
    (answer,) = answers(talk(target, request, end=False))
    assert answer.status in (400, 431)
    assert set(answer.json) == {"detail", "code", "request_id"}


def test_the_whole_address_in_the_target_is_understood(target: Server) -> None:
    request = b"GET http://example.com/health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    (answer,) = answers(talk(target, request, end=False))
    assert (answer.status, answer.json) == (200, {"status": "alive"})


@pytest.mark.parametrize("range_", ["bytes=x", "bytes=999999999-", "bytes=0-10", "lines=1-2"])
@pytest.mark.parametrize("path", ["/docs", "/static/docs/swagger-ui-bundle.js"])
def test_a_range_is_ignored(target: Server, path: str, range_: str) -> None:
    response = target.client.get(path, headers={"Range": range_})
    assert response.status_code == 200
    assert response.content == target.client.get(path).content


@pytest.mark.parametrize(
    "asked",
    [
        {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
        {"Origin": ORIGIN, "Access-Control-Request-Method": "DELETE"},
        {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-unheard-of",
        },
    ],
    ids=["origin", "method", "header"],
)
def test_a_preflight_that_is_refused_has_the_one_error_shape(
    target: Server, asked: dict[str, str]
) -> None:
    response = target.client.options("/detect", headers=asked)
    assert_error(response, 400, "invalid_request", "CORS")
    assert "origin" in response.headers["vary"].lower()


def test_a_preflight_that_is_allowed_says_so(target: Server) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "x-api-key"}  # fmt: skip
    response = target.client.options("/detect", headers=asked)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN


def test_the_document_works_behind_a_prefix(target: Server) -> None:
    document = target.client.get("/openapi.json").json()
    (server,) = document["servers"]
    base = httpx.URL("https://proxy.example/faces/openapi.json").join(server["url"])
    assert str(base).rstrip("/") == "https://proxy.example/faces"
