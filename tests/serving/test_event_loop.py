"""The event loop never blocks, whatever is sent: blockbuster raises where it would."""

from __future__ import annotations

import asyncio
import base64
import threading
import time

import cv2
import httpx
import numpy as np
import pytest
from blockbuster import BlockingError, blockbuster_ctx

from face_service import serialization
from face_service.http import responses
from face_service.packs.pack import Pack
from face_service.routes import detect
from tests.images import encode
from tests.wire import in_this_loop

EIGHT_MB = 8_000_000


@pytest.fixture(scope="module")
def large_image(request: pytest.FixtureRequest) -> bytes:
    """A PNG of more than 8 MB with four real faces and noise."""
    faces = cv2.imread(str(request.getfixturevalue("four_faces")))
    picture = np.random.default_rng(0).integers(0, 25, (2171, 3000, 3), np.uint8)
    picture[:1020, :1830] = cv2.add(picture[:1020, :1830], cv2.resize(faces, (1830, 1020)))
    data = encode(picture, "PNG", compress_level=1)
    assert len(data) > EIGHT_MB
    return data


def test_bodies_of_8_mb_do_not_block_the_event_loop(open_pack: Pack, large_image: bytes) -> None:
    vectors = np.random.default_rng(0).standard_normal((4000, 512), np.float32).tobytes()
    text = base64.b64encode(vectors[:2048]).decode()
    # With their types, or the client looks for mime.types.
    part = ("large.png", large_image, "image/png")
    embeddings = ("embeddings", vectors, "application/octet-stream")
    described = ("faces", b"[" + b"{}," * 3999 + b"{}]", "application/json")
    known = ("faces", b'[{"bbox": [0, 0, 300, 300]}]', "application/json")

    async def run() -> list[httpx.Response]:
        async with in_this_loop(open_pack) as http:
            with blockbuster_ctx():
                return [
                    await http.post("/detect", files={"file": part}),
                    await http.post(
                        "/detect", content=large_image, headers={"content-type": "image/png"}
                    ),
                    await http.post("/detect/batch", files=[("files", part), ("files", part)]),
                    await http.post(
                        "/extract-embedding",
                        json={"image_base64": base64.b64encode(large_image).decode()},
                    ),
                    await http.post("/group", files={"embeddings": embeddings, "faces": described}),
                    await http.post("/group", json={"faces": [{"embedding": text}] * 2000}),
                    await http.post("/embed", files={"file": part, "faces": known}),
                    await http.get("/health"),
                    await http.get("/models"),
                ]

    responses = asyncio.run(run())
    assert [response.status_code for response in responses] == [200] * 9
    assert len(responses[0].json()["faces"]) == 4


def test_the_watch_would_see_a_blocking_call() -> None:
    async def block() -> None:
        with blockbuster_ctx():
            time.sleep(0.001)  # noqa: ASYNC251

    with pytest.raises(BlockingError):
        asyncio.run(block())


def test_no_request_waits_for_a_thread_to_be_given_what_is_at_hand(open_pack: Pack) -> None:
    """FastAPI calls a dependency that is no coroutine on a thread, there and back."""
    portrait = encode(np.zeros((64, 64, 3), np.uint8), "PNG")

    async def run() -> list[int]:
        async with in_this_loop(open_pack) as http:
            files = [("files", ("a.png", portrait, "image/png"))]
            return [
                (await http.post("/detect", files={"file": files[0][1]})).status_code,
                (await http.post("/detect/batch", files=files)).status_code,
                (await http.get("/health")).status_code,
                (await http.get("/models")).status_code,
            ]

    before = set(threading.enumerate())
    assert asyncio.run(run()) == [200] * 4
    assert not [thread for thread in set(threading.enumerate()) - before if "AnyIO" in thread.name]


def test_the_json_of_many_faces_is_made_beside_the_event_loop(
    open_pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[str] = set()
    to_json = serialization.to_json

    def noted(content: object) -> bytes:
        threads.add(threading.current_thread().name)
        return to_json(content)

    monkeypatch.setattr(serialization, "to_json", noted)
    monkeypatch.setattr(responses, "JOINED_BYTES", 1_000)
    monkeypatch.setattr(detect, "SERIALISED_AT_ONCE", 4)
    picture = encode(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8), "PNG")
    part = ("noise.png", picture, "image/png")
    calls = [
        ("/detect", {"file": part}),
        ("/detect/batch", [("files", part)] * 2),
        ("/compare", {"file_a": part, "file_b": part}),
    ]

    async def run() -> list[tuple[int, set[str]]]:
        seen = []
        async with in_this_loop(open_pack) as http:
            for path, files in calls:
                for max_faces in (2, 6):
                    options = {"min_score": 0, "attributes": False, "max_faces": max_faces}
                    if path == "/compare":  # embeds every face
                        options["max_faces"] = max_faces // 2
                    else:
                        options["embedding_format"] = "none"
                    threads.clear()
                    answer = await http.post(path, files=files, params=options)
                    assert answer.headers["content-length"] == str(len(answer.content))
                    if path == "/detect/batch":
                        found = [len(one["faces"]) for one in answer.json()["results"]]
                        assert found == [max_faces] * 2
                    assert "serialise" in answer.headers["server-timing"]
                    seen.append((answer.status_code, set(threads)))
        return seen

    assert asyncio.run(run()) == [(200, {"MainThread"}), (200, {"decode"})] * 3
