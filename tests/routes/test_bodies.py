"""Multipart forms: what is taken from Starlette's private parts is still there, and no copies."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator

import pytest
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartParser

from face_service.routes.bodies import InMemoryParser, content

CHUNK = bytes(range(256)) * 256
CHUNKS = 100
SIZE = CHUNKS * len(CHUNK)
NAME = "Zoë.jpg"


def parsed(charset: str = "utf-8") -> UploadFile:
    """A file of SIZE bytes, out of a form."""
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{NAME}"\r\n\r\n'

    async def body() -> AsyncIterator[bytes]:
        yield head.encode()
        for _ in range(CHUNKS):
            yield CHUNK
        yield b"\r\n--x--\r\n"

    async def read() -> UploadFile:
        headers = Headers({"content-type": f"multipart/form-data; boundary=x; charset={charset}"})
        form = await InMemoryParser(headers, body(), max_files=1).parse()
        file = form["file"]
        assert isinstance(file, UploadFile)
        return file

    return asyncio.run(read())


def test_the_content_of_a_file_is_its_buffer_and_no_copy() -> None:
    tracemalloc.start()
    try:
        file = parsed()
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        data = content(file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < SIZE / 2, "copied"
    asyncio.run(file.close())
    assert data == CHUNK * CHUNKS


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "unicode_escape"])
def test_names_are_utf_8_whatever_the_charset(charset: str) -> None:
    file = parsed(charset)
    asyncio.run(file.close())
    assert file.filename == NAME


def test_starlettes_parser_still_has_the_attribute_that_is_replaced() -> None:
    """`_charset` is private: under another name InMemoryParser would replace nothing."""

    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    headers = Headers({"content-type": "multipart/form-data; boundary=x"})
    assert "_charset" in vars(MultiPartParser(headers, nothing()))
    assert isinstance(vars(InMemoryParser)["_charset"], property)
