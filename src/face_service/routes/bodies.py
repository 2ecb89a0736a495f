"""The bodies of requests: forms read in memory, JSON read beside the event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pybase64
from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from face_service.errors import InvalidRequest
from face_service.schemas import DetectOptions, EmbeddingRequest, explain

T = TypeVar("T", bound=DetectOptions)

MAX_FIELDS = 16
"""Fields of a form that are no files: more than there are options."""
WHITE_SPACE = b" \t\r\n\v\f"
LONGEST_NAME = 100
"""Of a field, as it is repeated in an error."""
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


@dataclass(frozen=True, slots=True)
class Upload:
    """What a request's body holds: files in order, each with its name, and options as text."""

    files: list[tuple[str | None, bytes]]
    options: dict[str, str]


async def read_files(request: Request, field: str, limit: int) -> Upload:
    """The files in a form's `field`, and its options.

    Raises InvalidRequest if there are no files, more than `limit` files in the form, or anything
    else in it.
    """
    async with read_form(request, limit) as form:
        options = options_in(form, (field,))
        files = [(file.filename, await file.read()) for file in files_of(form, field)]
        return Upload(files, options)


async def read_one_of_each(request: Request, fields: Sequence[str]) -> Upload:
    """The one file in each of a form's `fields`, and its options.

    Raises InvalidRequest if one has none, or if there is anything else in the form.
    """
    async with read_form(request, len(fields)) as form:
        options = options_in(form, fields)
        found = [files_of(form, field)[0] for field in fields]
        return Upload([(file.filename, await file.read()) for file in found], options)


def options_in(form: FormData, files: Sequence[str]) -> dict[str, str]:
    """The fields of a form that are not in `files`, by name: each has to be an option, as text.

    Raises InvalidRequest for one that has no effect, which nobody would notice.
    """
    options: dict[str, str] = {}
    for field, value in form.multi_items():
        name = field[:LONGEST_NAME]
        if field in files:
            if isinstance(value, str):
                raise InvalidRequest(f"The field '{name}' has to be a file, with a file name")
        elif isinstance(value, UploadFile):
            wanted = " and ".join(f"'{one}'" for one in files)
            raise InvalidRequest(f"{name}: files are read from {wanted} alone")
        elif field not in DetectOptions.model_fields:
            raise InvalidRequest(f"{name}: is not a known option")
        elif field in options:
            raise InvalidRequest(f"{name}: is given twice")
        else:
            options[field] = value
    return options


def with_fields(options: T, fields: Mapping[str, str]) -> T:
    """The options of a query with those of a form.

    Raises InvalidRequest if one is in both, or is not what it may be.
    """
    if twice := sorted(options.model_fields_set & fields.keys()):
        raise InvalidRequest(f"{', '.join(twice)}: is in the query and in the form")
    try:
        given = options.model_dump(exclude_unset=True)
        return type(options).model_validate({**given, **fields})
    except ValidationError as error:
        raise InvalidRequest(explain(error.errors())) from error


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
