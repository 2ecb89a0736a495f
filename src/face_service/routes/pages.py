"""Pages for people: the demo at /, the API documentation at /docs and /redoc.

Everything they load lies in this package, or in fastapi-offline's, which carries Swagger UI and
ReDoc: no page asks another host for anything. They are the same for everybody and hold nothing
of anybody, so they need no key; what they ask the service for does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

STATIC = Path(__file__).parent.parent / "static"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' {images}; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
DEMO_POLICY = POLICY.format(images="blob:")
"""Scripts, styles and requests of this origin; blob: is the picture that a person chose."""

DOCS_POLICY = POLICY.format(images="data:")
"""Swagger UI draws its icons from data: addresses."""

REDOC_POLICY = DOCS_POLICY.replace(
    "style-src 'self'",
    "style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' "
    "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='; worker-src blob:",
)
"""ReDoc makes two style elements, known here by their hashes: an empty one, which it fills rule by
rule, and that of its scroll bars. It searches in a worker."""


class Assets(StaticFiles):
    """Files that a browser may keep but asks about each time: unchanged ones cost a 304, and
    after an upgrade no page is made of two versions."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response

    async def whole(self, name: str, request: Request) -> Response:
        """The file of a name. A Range is ignored (RFC 9110, 14.2), good or bad: Starlette refuses
        a bad one in plain text."""
        request.scope["headers"] = [
            item for item in request.scope["headers"] if item[0] != b"range"
        ]
        response = await self.get_response(name, request.scope)
        response.headers["Accept-Ranges"] = "none"
        return response

    def names(self) -> Iterator[str]:
        """Every file that is served, as it is written in an address."""
        for folder in map(Path, self.all_directories):
            for path in folder.rglob("*"):
                if path.is_file():
                    yield path.relative_to(folder).as_posix()


def add_pages(app: FastAPI, demo: bool) -> frozenset[str]:
    """Serve the documentation, and the demo if it is wanted. Returns the paths of all of it."""
    docs = Assets(directory=STATIC / "docs", packages=[("fastapi_offline", "static")])
    pages = {
        "/docs": page(docs, "swagger.html", DOCS_POLICY),
        "/redoc": page(docs, "redoc.html", REDOC_POLICY),
    }
    folders = {"/static/docs": docs}
    if demo:
        folders["/static/demo"] = Assets(directory=STATIC / "demo")
        pages["/"] = page(folders["/static/demo"], "index.html", DEMO_POLICY)
    for path, handler in pages.items():
        app.add_api_route(path, handler, include_in_schema=False)
    for base, assets in folders.items():
        app.add_api_route(f"{base}/{{name:path}}", files(assets), include_in_schema=False)
    names = {f"{base}/{name}" for base, assets in folders.items() for name in assets.names()}
    return frozenset(names.union(pages))


def page(assets: Assets, name: str, policy: str) -> Callable[[Request], Awaitable[Response]]:
    """A handler that answers with one file, under a content security policy."""

    async def handler(request: Request) -> Response:
        response = await assets.whole(name, request)
        response.headers["Content-Security-Policy"] = policy
        return response

    return handler


def files(assets: Assets) -> Callable[[Request, str], Awaitable[Response]]:
    """A handler that answers with the file of a name."""

    async def handler(request: Request, name: str) -> Response:
        return await assets.whole(name, request)

    return handler
