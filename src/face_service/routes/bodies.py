"""The bodies of requests: forms read in memory, JSON read beside the event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pybase64
from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from face_service.errors import InvalidRequest
from face_service.schemas import EmbeddingRequest, explain

MAX_FIELDS = 16
"""Fields of a form that are no files; this service reads none of them."""
WHITE_SPACE = b" \t\r\n\v\f"
MAX_COMMAS = 100
"""In a JSON body: one stands before every value but the first, and a request has eight. Millions
of unknown names take a hundred times the memory of their text to refuse one by one."""


class InMemoryParser(MultiPartParser):
    """Starlette's parser, without its temporary files: bodies are bounded by MAX_BODY_MB,
    and a disk would be slower, may be read-only, and keeps what should leave no trace.

    Names are UTF-8, as browsers write them, or else Latin-1, whatever `charset` says: of the codecs
    that Python has under a name, some raise, and some make half characters.
    """

    spool_max_size = 2**40

    @property
    def _charset(self) -> str:
        return "utf-8"

    @_charset.setter
    def _charset(self, _: str) -> None:
        pass


async def read_files(request: Request, field: str, limit: int) -> list[tuple[str | None, bytes]]:
    """The names and contents of the files in a form's `field`, in order.

    Raises InvalidRequest if there are none, or more than `limit` files in the form.
    """
    async with read_form(request, limit) as form:
        return [(file.filename, await file.read()) for file in files_of(form, field)]


async def read_one_of_each(request: Request, fields: Sequence[str]) -> list[bytes]:
    """The content of the one file in each of a form's `fields`.

    Raises InvalidRequest if one has none, or if there are other files.
    """
    async with read_form(request, len(fields)) as form:
        return [await files_of(form, field)[0].read() for field in fields]


@asynccontextmanager
async def read_form(request: Request, max_files: int) -> AsyncIterator[FormData]:
    """A multipart form, for the length of the block. Raises InvalidRequest."""
    parser = InMemoryParser(
        request.headers, request.stream(), max_files=max_files, max_fields=MAX_FIELDS
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidRequest(error.message) from error
    try:
        yield form
    finally:
        await form.close()


def files_of(form: FormData, field: str) -> list[UploadFile]:
    """The files of a form's `field`, in order. Raises InvalidRequest if there are none."""
    files = [file for file in form.getlist(field) if isinstance(file, UploadFile)]
    if not files:
        raise InvalidRequest(f"The form has no file field named '{field}'")
    return files


async def read_body(request: Request) -> bytes:
    """The body. The request does not keep it, as it does with its own `body()`."""
    return b"".join([piece async for piece in request.stream()])


def parse_embedding_request(body: bytes) -> tuple[dict[str, Any], bytes]:
    """The options that are set in a JSON body, and the image in it. Raises InvalidRequest.

    Takes tens of milliseconds for the largest bodies: not for the event loop.
    """
    if body.count(b",") > MAX_COMMAS:
        raise InvalidRequest("The JSON holds far more than an image and its options")
    try:
        parsed = EmbeddingRequest.model_validate_json(body)
    except ValidationError as error:
        raise InvalidRequest(explain(error.errors())) from error
    options = parsed.model_dump(exclude={"image_base64"}, exclude_unset=True)
    return options, decode_base64(parsed.image_base64)


def decode_base64(text: str) -> bytes:
    """The bytes behind plain base64 or a `data:` URL. Raises InvalidRequest."""
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.endswith(";base64"):
            raise InvalidRequest("image_base64 is a data: URL that is not base64")
    try:
        # Not split and joined: that makes a string of every word.
        return pybase64.b64decode(text.encode().translate(None, WHITE_SPACE), validate=True)
    except ValueError as error:
        raise InvalidRequest(f"image_base64 is not valid base64: {error}") from error
