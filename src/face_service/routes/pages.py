"""The demo at / and the API documentation at /docs and /redoc.

Everything they load is in this package or in fastapi-offline, which contains Swagger UI and ReDoc:
no page loads anything from another host. They are static, so they need no API key; the requests
that they send to the API do.
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
"""Scripts, styles and requests of this origin; blob: for the image that a user has chosen."""

DOCS_POLICY = POLICY.format(images="data:")
"""Swagger UI's icons are data: URLs."""

REDOC_POLICY = DOCS_POLICY.replace(
    "style-src 'self'",
    "style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' "
    "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='; worker-src blob:",
)
"""ReDoc inserts two style elements, allowed by their hashes: an empty one, which it fills rule by
rule, and that of its scroll bars. Its search runs in a web worker."""


class Assets(StaticFiles):
    """Static files with `Cache-Control: no-cache`: a browser revalidates each time (304 where
    unchanged), so that after an upgrade no page mixes two versions."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Starlette's response with a file, and `Cache-Control: no-cache`."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response

    async def whole(self, name: str, request: Request) -> Response:
        """The response with all of the file `name`, a path in the folder. Raises HTTPException
        (404) where there is none. A Range header is ignored (RFC 9110, 14.2): Starlette would
        answer an invalid one in plain text."""
        request.scope["headers"] = [
            item for item in request.scope["headers"] if item[0] != b"range"
        ]
        response = await self.get_response(name, request.scope)
        response.headers["Accept-Ranges"] = "none"
        return response

    def names(self) -> Iterator[str]:
        """The path of every file, relative to its folder, with forward slashes."""
        for folder in map(Path, self.all_directories):
            for path in folder.rglob("*"):
                if path.is_file():
                    yield path.relative_to(folder).as_posix()


class Pages:
    """The documentation, the demo where it is wanted, and the files that they load.

    `paths`: all their paths; none needs an API key.
    """

    def __init__(self, demo: bool) -> None:
        docs = Assets(directory=STATIC / "docs", packages=[("fastapi_offline", "static")])
        self._pages = {
            "/docs": page(docs, "swagger.html", DOCS_POLICY),
            "/redoc": page(docs, "redoc.html", REDOC_POLICY),
        }
        self._folders = {"/static/docs": docs}
        if demo:
            self._folders["/static/demo"] = Assets(directory=STATIC / "demo")
            self._pages["/"] = page(self._folders["/static/demo"], "index.html", DEMO_POLICY)
        self.paths = frozenset(self._pages).union(
            f"{base}/{name}" for base, assets in self._folders.items() for name in assets.names()
        )

    def add_to(self, app: FastAPI) -> None:
        """Add the routes; the OpenAPI document does not list them."""
        for path, handler in self._pages.items():
            app.add_api_route(path, handler, include_in_schema=False)
        for base, assets in self._folders.items():
            app.add_api_route(f"{base}/{{name:path}}", files(assets), include_in_schema=False)


def page(assets: Assets, name: str, policy: str) -> Callable[[Request], Awaitable[Response]]:
    """A handler that answers with the file `name` and this Content-Security-Policy."""

    async def handler(request: Request) -> Response:
        response = await assets.whole(name, request)
        response.headers["Content-Security-Policy"] = policy
        return response

    return handler


def files(assets: Assets) -> Callable[[Request, str], Awaitable[Response]]:
    """A handler that answers with the file in its path parameter `name`."""

    async def handler(request: Request, name: str) -> Response:
        return await assets.whole(name, request)

    return handler
