"""Errors as HTTP responses: `{"detail", "code", "request_id"}`, whatever raised them."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from face_service.errors import HttpError, InvalidRequest, OutOfMemory, RequestError
from face_service.schemas import explain


def error_response(
    scope: Scope, error: RequestError, headers: dict[str, str] | None = None
) -> JSONResponse:
    """The response to a request that failed, with Retry-After where the error has one.

    `headers`: further ones. Notes the error's code in the request's record.
    """
    scope["state"]["record"].code = error.code
    retry = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    body = error.body(scope["state"]["request_id"])
    return JSONResponse(body, error.status, {**retry, **(headers or {})})


def raw_error_response(error: RequestError, request_id: str) -> bytes:
    """The response to input that is not valid HTTP, headers included; it ends the connection."""
    body = JSONResponse(error.body(request_id)).body
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"x-request-id: {request_id}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


def add_error_handlers(app: FastAPI) -> None:
    """Answer RequestError, and the errors of FastAPI and Starlette, with `error_response`."""

    @app.exception_handler(RequestError)
    async def of_this_service(request: Request, error: RequestError) -> JSONResponse:
        return error_response(request.scope, error)

    @app.exception_handler(HTTPException)
    async def of_starlette(request: Request, error: HTTPException) -> JSONResponse:
        failure = HttpError(error.status_code, error.detail)
        return error_response(request.scope, failure, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def of_validation(request: Request, error: RequestValidationError) -> JSONResponse:
        return error_response(request.scope, InvalidRequest(explain(error.errors(), skip=1)))


class Failures:
    """Middleware: answers an exception without a handler with a 500, MemoryError with a 503.

    It belongs inside of CORS, whose headers let a page read the response. Once a response has
    begun the exception goes on, and the server closes the connection.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, send_noting)
        except Exception as error:
            if scope["type"] != "http":
                raise
            scope["state"]["record"].error = error
            if started:
                raise
            failure: RequestError = RequestError("The service failed on this request")
            if isinstance(error, MemoryError):
                failure = OutOfMemory("Out of memory, try again later or send less at once")
            await error_response(scope, failure)(scope, receive, send)
