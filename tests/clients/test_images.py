"""The clients' images, in every dress: sent as they are read, and again from their beginning."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from face_service_client import AsyncClient, Client, NotReady
from tests.wire import settled

from .conftest import Connect
from .misbehaving import Misbehaving


@pytest.fixture(params=["iterator", "pipe"])
def readable_once(request: pytest.FixtureRequest) -> Iterator[object]:
    """An image that can be read only once."""
    if request.param == "iterator":
        yield iter([b"image"])
        return
    reading, writing = os.pipe()
    os.write(writing, b"image")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        yield pipe


@pytest.mark.usefixtures("pauses")
def test_what_can_be_read_once_is_sent_once_and_that_is_said(
    connect: Connect, misbehaving: Misbehaving, readable_once: Any
) -> None:
    url, seen = misbehaving.script("not-ready-then-well")
    with pytest.raises(NotReady, match="can be read only once") as caught:
        connect(url).detect(readable_once)
    assert caught.value.attempts == len(seen) == 1


def images_of(content: bytes, folder: Path) -> dict[str, Any]:
    """An image in every dress that can be read again."""
    path, longer = folder / "frame.jpg", folder / "longer"
    path.write_bytes(content)
    longer.write_bytes(b"skip" + content)
    begun = longer.open("rb")
    begun.seek(4)
    return {
        "str": str(path),
        "path": path,
        "file": path.open("rb"),
        "file from its middle": begun,
        "pieces": [content[:7], content[7:]],
        "memoryview": memoryview(content),
    }


DRESSES = ["str", "path", "file", "file from its middle", "pieces", "memoryview"]


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("dress", DRESSES)
def test_what_can_be_read_again_is_sent_whole_again(
    connect: Connect, misbehaving: Misbehaving, dress: str, tmp_path: Path
) -> None:
    images = images_of(os.urandom(300_001), tmp_path)
    url, seen = misbehaving.script("not-ready-then-well")
    connect(url).detect(images[dress])
    first, second = seen
    assert first.received > 300_001
    assert (first.received, first.sha256) == (second.received, second.sha256)
    if dress != "pieces":
        assert int(first.headers["Content-Length"]) == first.received
    for name in ("file", "file from its middle"):
        assert not images[name].closed
        images[name].close()


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("dress", DRESSES[1:])
def test_base64_is_made_while_it_is_sent(
    connect: Connect, misbehaving: Misbehaving, dress: str, tmp_path: Path
) -> None:
    content = os.urandom(600_001)
    images = images_of(content, tmp_path)
    url, seen = misbehaving.script("not-ready-then-well")
    connect(url).extract_embedding(images[dress])
    whole = json.dumps({"image_base64": base64.b64encode(content).decode()}).encode()
    assert [one.sha256 for one in seen] == [hashlib.sha256(whole).hexdigest()] * 2
    for name in ("file", "file from its middle"):
        images[name].close()


def test_an_iterator_is_sent_while_it_is_made(connect: Connect, misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")

    def frames() -> Iterator[bytes]:
        yield b"a" * 100_000
        settled(lambda: bool(seen) and seen[0].received >= 100_000)
        yield b"b" * 100_000

    connect(url).detect(frames())
    assert seen[0].received > 200_000
    assert seen[0].headers["Transfer-Encoding"] == "chunked"


def test_a_big_file_is_never_in_memory(
    connect: Connect, misbehaving: Misbehaving, tmp_path: Path
) -> None:
    size = 100_000_000
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(size)
    url, seen = misbehaving.script("well")
    client = connect(url, timeout=60)
    tracemalloc.start()
    try:
        client.detect(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen[0].received > size
    assert peak < size / 20


def test_a_missing_file_is_a_missing_file(connect: Connect, misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")
    with pytest.raises(FileNotFoundError):
        connect(url).detect("nowhere.jpg")
    assert not seen


def test_what_is_no_image_is_said_before_anything_is_sent(
    connect: Connect, misbehaving: Misbehaving, tmp_path: Path
) -> None:
    url, seen = misbehaving.script("well")
    (tmp_path / "text").write_text("text")
    with pytest.raises(TypeError, match="binary mode"), (tmp_path / "text").open() as file:
        connect(url).detect(file)
    with pytest.raises(TypeError, match="not 7"):
        connect(url).detect(7)
    with pytest.raises(TypeError, match="several images"):
        connect(url).detect_batch(b"one")
    assert not seen


def test_a_name_cannot_break_out_of_its_header(
    connect: Connect, misbehaving: Misbehaving, tmp_path: Path
) -> None:
    sizes = []
    for name in ("a%22; x=%22", 'a"; x="'):
        (tmp_path / name).write_bytes(b"image")
        url, seen = misbehaving.script("well")
        connect(url).detect(tmp_path / name)
        sizes.append(seen[0].received)
    assert sizes[0] == sizes[1]


def test_an_asynchronous_iterator_is_sent(misbehaving: Misbehaving) -> None:
    url, seen = misbehaving.script("well")

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a" * 1000
        await asyncio.sleep(0)
        yield b"b" * 1000

    async def send() -> None:
        async with AsyncClient(url) as client:
            await client.detect(pieces())
            await client.extract_embedding(pieces())

    asyncio.run(send())
    assert [one.received > 2000 for one in seen] == [True, True]
    with Client(url) as client, pytest.raises(TypeError, match="AsyncClient"):
        client.detect(pieces())  # type: ignore[arg-type]
