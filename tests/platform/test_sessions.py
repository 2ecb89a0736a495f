"""Who may ask: sessions, their cookies, passwords, and pages of other sites."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest

from .backend import PASSWORD, Backend

OPEN = {("post", "/api/login"), ("get", "/api/health")}
NEW = "another-password-of-these-tests"


def test_everything_but_login_and_health_wants_a_session(backend: Backend) -> None:
    document = backend.get("/api/openapi.json")
    assert document["paths"]
    with httpx.Client(base_url=backend.http.base_url, timeout=60) as stranger:
        for path, methods in document["paths"].items():
            for method in methods:
                if (method, path) in OPEN:
                    continue
                answer = stranger.request(method, re.sub(r"\{\w+\}", "1", path), json={})
                assert answer.status_code == 401, f"{method} {path}"
                assert answer.json()["code"] == "unauthorized"


def test_a_session_ends(backend: Backend) -> None:
    with httpx.Client(base_url=backend.http.base_url, timeout=60) as client:
        login = client.post("/api/login", json={"name": "admin", "password": PASSWORD})
        assert login.status_code == 200
        cookie = login.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite" in cookie
        assert client.get("/api/session").json() == {"name": "admin"}
        stolen = {"Cookie": f"session={client.cookies['session']}"}
        assert client.post("/api/logout").status_code == 204
        assert client.get("/api/session", headers=stolen).status_code == 401
        nul = client.post("/api/login", json={"name": "admin\0", "password": PASSWORD})
        assert (nul.status_code, nul.json()["code"]) == (400, "invalid_request")


def test_passwords_cannot_be_tried_for_long(backend: Backend) -> None:
    with httpx.Client(base_url=backend.http.base_url, timeout=60) as client:
        wrong = {"name": "admin", "password": "wrong"}
        statuses = [client.post("/api/login", json=wrong).status_code for _ in range(12)]
    assert statuses[0] == 401 and statuses[-1] == 429


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
def test_pages_of_other_sites_change_nothing(backend: Backend, site: str) -> None:
    """Not even those of another port of this host, with which browsers send the cookie."""
    other, own = {"Sec-Fetch-Site": site}, {"Sec-Fetch-Site": "same-origin"}
    files = {"files": ("a.mp4", b"content")}
    for answer in (
        backend.http.post("/api/videos", files=files, headers=other),
        backend.http.post("/api/logout", headers=other),
        backend.http.post("/api/login", json={}, headers=other),
        backend.http.delete("/api/models/change", headers=other),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert backend.get("/api/videos") == [] and not any(backend.uploads.iterdir())
    assert backend.http.get("/api/session", headers=other).status_code == 200
    assert backend.http.post("/api/creators", json={"name": site}, headers=own).status_code == 201


def test_behind_https_the_cookie_is_for_https_alone(start_backend: Callable[..., Backend]) -> None:
    """If a proxy is to be believed."""
    login = {"name": "admin", "password": PASSWORD}
    for trusted in ("true", "false"):
        backend = start_backend(TRUST_PROXY=trusted)
        for scheme in ("https", "http"):
            with httpx.Client(base_url=backend.http.base_url, timeout=60) as client:
                headers = {"X-Forwarded-Proto": scheme}
                cookie = client.post("/api/login", json=login, headers=headers).headers[
                    "set-cookie"
                ]
            assert ("Secure" in cookie) == (trusted == "true" and scheme == "https"), cookie


def test_another_password_ends_the_sessions_of_the_former(
    start_backend: Callable[..., Backend],
) -> None:
    backend = start_backend()
    for password, known in ((PASSWORD, 200), (NEW, 401)):
        backend.stop()
        backend.start(PLATFORM_PASSWORD=password)
        assert backend.http.get("/api/session").status_code == known
    statuses = [
        backend.http.post("/api/login", json={"name": "admin", "password": word}).status_code
        for word in (PASSWORD, NEW, "")
    ]
    assert statuses == [401, 200, 401]
    assert backend.get("/api/session") == {"name": "admin"}
