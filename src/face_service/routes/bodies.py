"""Request bodies: multipart forms, kept in memory, and JSON, parsed on a decoding thread."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeVar

import pybase64
from fastapi import Request
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from face_service.errors import InvalidRequest
from face_service.routes.json_bodies import parsed, validated
from face_service.schemas import DetectOptions, EmbeddingRequest, explain

T = TypeVar("T", bound=BaseModel)

MAX_FIELDS = 16
"""Most fields of a form that are not files; there are twelve options at most."""
LONGEST_TEXT = 1_000_000
"""Most bytes of a field that is not a file."""
WHITE_SPACE = b" \t\r\n\v\f"
NO_LATIN = re.compile(rb"\\u(?!00)")
"""An escape of a character above 255. A single one makes Python's string of all the text up to four
times as large."""
BASE64_PIECE = 65_536
"""Characters of base64 that are decoded at once."""
LONGEST_NAME = 100
"""Most characters of a field's name that are repeated in an error."""
EMBEDDING = TypeAdapter(EmbeddingRequest)
MAX_COMMAS = 100
"""Most commas of a JSON body, which needs at most twelve. Refusing millions of unknown names one by
one would take a hundred times the memory of their text."""


class InMemoryParser(MultiPartParser):
    """Starlette's parser, without temporary files: bodies are bounded by MAX_BODY_MB, and images
    are personal data that must not reach a disk, which may be read-only as well.

    Names are decoded as UTF-8, as browsers encode them, or else as Latin-1. The parameter `charset`
    is ignored: some of Python's codecs raise, and some yield lone surrogates. `_charset` is
    Starlette's private attribute; tests/routes/test_bodies.py fails when it is renamed.
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
    """A parsed body. `files`: name, or None, and content, in order. `options`: as text, by name."""

    files: list[tuple[str | None, bytes]]
    options: dict[str, str]


async def read_files(request: Request, field: str, limit: int) -> Upload:
    """The files in a form's `field`, and its options.

    Raises InvalidRequest if the form is malformed, has no file or more than `limit` of them, or has
    a field that is neither a file of `field` nor an option.
    """
    async with read_form(request, limit) as form:
        options = options_in(form, (field,))
        files = [(file.filename, content(file)) for file in files_of(form, field)]
        return Upload(files, options)


async def read_one_of_each(request: Request, fields: Sequence[str]) -> Upload:
    """The one file in each of a form's `fields`, and its options.

    Raises InvalidRequest if a field has no file, or if the form has anything else.
    """
    async with read_form(request, len(fields)) as form:
        options = options_in(form, fields)
        found = [files_of(form, field)[0] for field in fields]
        return Upload([(file.filename, content(file)) for file in found], options)


def options_in(
    form: FormData, files: Sequence[str], known: Iterable[str] = DetectOptions.model_fields
) -> dict[str, str]:
    """The options of a form, as text: all its fields but those in `files`, of the names in `known`.

    Raises InvalidRequest for text in a field of `files`, for a file in any other, and for a field
    that is not in `known` or is given twice.
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
        elif field not in known:
            raise InvalidRequest(f"{name}: is not a known option")
        elif field in options:
            raise InvalidRequest(f"{name}: is given twice")
        else:
            options[field] = value
    return options


def with_fields(options: T, fields: Mapping[str, str]) -> T:
    """The options of a query and those of a form together.

    Raises InvalidRequest if one is in both, or has a value that is not allowed.
    """
    if twice := sorted(options.model_fields_set & fields.keys()):
        raise InvalidRequest(f"{', '.join(twice)}: is in the query and in the form")
    try:
        given = options.model_dump(exclude_unset=True)
        return type(options).model_validate({**given, **fields})
    except ValidationError as error:
        raise InvalidRequest(explain(error.errors())) from error


@asynccontextmanager
async def read_form(
    request: Request, max_files: int, max_text: int = LONGEST_TEXT
) -> AsyncIterator[FormData]:
    """Parse a multipart form; its files are closed at the end of the block.

    Raises InvalidRequest if it is malformed, or has more than `max_files` files or MAX_FIELDS
    other fields, or one of more than `max_text` bytes.
    """
    parser = InMemoryParser(
        request.headers,
        request.stream(),
        max_files=max_files,
        max_fields=MAX_FIELDS,
        max_part_size=max_text,
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
    """The files of a form's `field`, in order. Raises InvalidRequest where there is none."""
    files = [file for file in form.getlist(field) if isinstance(file, UploadFile)]
    if not files:
        raise InvalidRequest(f"The form has no file field named '{field}'")
    return files


def content(file: UploadFile) -> bytes:
    """All of a file that InMemoryParser has read, without a copy, which `read` would make.

    `_file` is the private BytesIO of SpooledTemporaryFile, whose `getvalue` returns its buffer.
    tests/routes/test_bodies.py fails when either changes.
    """
    buffer: BytesIO = file.file._file  # type: ignore[attr-defined]
    return buffer.getvalue()


async def read_body(request: Request) -> bytes:
    """The whole body; `Request.body()` would keep a reference to it for as long as the request."""
    return b"".join([piece async for piece in request.stream()])


def parse_embedding_request(body: bytes) -> tuple[dict[str, Any], bytes]:
    """The options that are set in a JSON body, and the bytes of its image. Raises InvalidRequest.

    Takes tens of milliseconds for the largest bodies: call it off the event loop. With the body and
    the image it takes at most three times the body (tests/hostile/test_bodies.py).
    """
    if body.count(b",") > MAX_COMMAS:
        raise InvalidRequest("The JSON holds far more than an image and its options")
    if not body.isascii() or NO_LATIN.search(body):
        raise InvalidRequest("The JSON holds characters that neither base64 nor an option has")
    # Parsed, then validated: in a single step pydantic would keep the text once more, and an error
    # for each value.
    given = parsed(body)
    if not isinstance(given, dict):
        raise InvalidRequest("Input should be an object")
    wanted = validated(EMBEDDING, {name[:LONGEST_NAME]: given[name] for name in given})
    options = wanted.model_dump(exclude={"image_base64"}, exclude_unset=True)
    return options, decode_base64(wanted.image_base64)


def decode_base64(text: str, name: str = "image_base64") -> bytes:
    """Decode base64, plain or in a `data:` URL; white space is ignored. Raises InvalidRequest,
    which calls it `name`.

    Piece by piece: a copy without white space would take as much as the text once more.
    """
    start = 0
    if text.startswith("data:"):
        start = text.find(",") + 1
        if not text.endswith(";base64,", 0, start):
            raise InvalidRequest(f"{name} is a data: URL that is not base64")
    decoded, rest = buffer_of(3 * (len(text) - start) // 4), b""
    try:
        for place in range(start, len(text), BASE64_PIECE):
            # translate, not split and join, which would make an object of every word.
            more = text[place : place + BASE64_PIECE].encode()
            piece = rest + more.translate(None, WHITE_SPACE)
            whole = len(piece.rstrip(b"=")) // 4 * 4
            four_by_four, rest = piece[:whole], piece[whole:]
            if four_by_four.endswith(b"=") or len(rest) > 4:
                raise ValueError("Excess data after padding")
            decoded.write(pybase64.b64decode(four_by_four, validate=True))
        decoded.write(pybase64.b64decode(rest, validate=True))
    except ValueError as error:
        raise InvalidRequest(f"{name} is not valid base64: {error}") from error
    decoded.truncate()
    return decoded.getvalue()


def buffer_of(size: int) -> BytesIO:
    """A buffer of `size` bytes, all 0, to be written from its beginning: one that grows is copied,
    and exists twice."""
    buffer = BytesIO()
    buffer.seek(max(0, size - 1))
    buffer.write(bytes(min(size, 1)))
    buffer.seek(0)
    return buffer
