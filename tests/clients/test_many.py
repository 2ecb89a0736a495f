"""Many images at once, crops, groups and vectors, with the Python clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from face_service_client import (
    AsyncClient,
    Client,
    InvalidImage,
    Overloaded,
    Retry,
    Unauthorized,
    from_vector,
    similarity,
    to_vector,
)
from tests.server import Server

from .conftest import Connect
from .misbehaving import Misbehaving


def test_crops_are_embedded_again(connect: Connect, server: Server, four_faces: Path) -> None:
    client = connect(server.url)
    faces = client.detect(four_faces, crops=True).faces
    crops = [face.crop for face in faces]
    assert all(crop.startswith(b"\xff\xd8\xff") for crop in crops)
    found = client.embed([*crops, b"no image"], request_id="again")
    assert found.request_id == "again"
    for one, face in zip(found.results, faces, strict=False):
        assert similarity(one.embedding, face) > 0.998
        assert one.crop is None
    assert isinstance(found.results[-1].error, InvalidImage)
    known = client.embed_faces(four_faces, [faces[2], faces[0].bbox, faces[1].landmarks], crop=True)
    for one, place in zip(known.results, (2, 0, 1), strict=True):
        assert similarity(one.embedding, faces[place]) > 0.9999
        assert one.crop == crops[place]
    with pytest.raises(TypeError, match="landmarks"):
        client.embed_faces(four_faces, [[1, 2, 3]])


def test_faces_are_grouped(connect: Connect, server: Server, four_faces: Path) -> None:
    client = connect(server.url)
    faces = client.detect(four_faces).faces
    embeddings = np.stack([face.embedding for face in faces] * 2)
    found = client.group(
        embeddings,
        times=np.repeat([0.0, 1.0], 4),
        boxes=np.stack([face.bbox for face in faces] * 2),
        quality=[face.quality.score for face in faces] * 2,
        sources=["one"] * 8,
        max_gap=1.5,
        means=True,
    )
    assert [track.faces for track in found.tracks] == [(0, 4), (1, 5), (2, 6), (3, 7)]
    assert found.track_labels == (0, 1, 2, 3) * 2
    assert (found.tracks[0].source, found.tracks[0].start, found.tracks[0].end) == ("one", 0, 1)
    assert sorted(group.faces for group in found.groups) == [(0, 4), (1, 5), (2, 6), (3, 7)]
    assert similarity(found.groups[found.group_labels[2]].embedding, faces[2]) > 0.9999
    assert found.thresholds.group_similarity == 0.423
    alone = client.group(embeddings[:4], group_similarity=-1)
    assert len(alone.groups) == 1
    assert alone.groups[0].embedding is None
    with pytest.raises(ValueError, match="time: 1 of them for 8"):
        client.group(embeddings, times=[0.0])
    with pytest.raises(ValueError, match="shape"):
        client.group(embeddings[0])


def several(images: list[bytes], taken: list[int]) -> Iterator[bytes]:
    for place, image in enumerate(images):
        taken.append(place)
        yield image


def test_all_images_are_answered_in_order(server: Server, four_faces: Path) -> None:
    photo, taken = four_faces.read_bytes(), []
    images = [photo, b"no image", photo, photo, b"", photo]
    with Client(server.url) as client:
        found = list(client.detect_all(several(images, taken), parallel=2, embeddings=False))
    assert [one.index for one in found] == list(range(6))
    assert [one.image for one in found] == images
    assert [one.result and len(one.result.faces) for one in found] == [4, None, 4, 4, None, 4]
    assert isinstance(found[1].error, InvalidImage)
    assert found[0].error is None


def test_no_more_images_are_taken_than_are_needed(misbehaving: Misbehaving) -> None:
    url, _ = misbehaving.script("well")
    taken: list[int] = []
    with Client(url) as client:
        answers = client.detect_all(several([b"image"] * 100, taken), parallel=2)
        next(answers)
        assert len(taken) <= 4
        answers.close()
        assert len(taken) <= 4


def test_what_was_given_up_has_its_error_and_a_wrong_key_ends_it(misbehaving: Misbehaving) -> None:
    url, _ = misbehaving.script("always-busy")
    with Client(url, retry=Retry(attempts=1)) as client:
        found = list(client.detect_all([b"a", b"b"]))
    assert [type(one.error) for one in found] == [Overloaded, Overloaded]
    url, _ = misbehaving.script("no-key")
    with Client(url) as client, pytest.raises(Unauthorized):
        list(client.detect_all([b"a"] * 20))
    with Client(url) as client, pytest.raises(ValueError, match="parallel"):
        list(client.detect_all([b"a"], parallel=0))


def test_an_asynchronous_source_is_answered_in_order(server: Server, four_faces: Path) -> None:
    photo = four_faces.read_bytes()

    async def frames() -> AsyncIterator[bytes]:
        for image in (photo, b"no image", photo):
            yield image

    async def run() -> list[int | None]:
        async with AsyncClient(server.url) as client:
            found = [one async for one in client.detect_all(frames(), parallel=2)]
            again = [one async for one in client.detect_all([four_faces] * 3, max_faces=1)]
        assert [one.index for one in found] == [0, 1, 2]
        assert [len(one.result.faces) for one in again if one.result] == [1, 1, 1]
        return [one.result and len(one.result.faces) for one in found]

    assert asyncio.run(run()) == [4, None, 4]


def test_vectors_go_to_pgvector_and_back() -> None:
    vector = np.random.default_rng(0).standard_normal(512).astype(np.float32)
    assert (from_vector(to_vector(vector)) == vector).all()
    assert from_vector("[1,-2.5e-3]").tolist() == [1, np.float32(-0.0025)]
    for odd in ("", "1,2", "[]", "[1,]", "[1,x]", "[NaN,1]", "[[1]]"):
        with pytest.raises(ValueError):
            from_vector(odd)


def test_no_call_fails_while_the_service_is_started_again(
    start_small_server: Callable[..., Server], four_faces: Path
) -> None:
    before = start_small_server(DRAIN_GRACE_S="0")
    before.wait_until_ready()
    port = before.url.rpartition(":")[2]
    with Client(before.url) as client:
        answers = client.detect_all([four_faces] * 12, parallel=3, embeddings=False)
        found = [next(answers)]
        before.stop()
        start_small_server(DRAIN_GRACE_S="0", PORT=port)
        found += answers
    assert [one.error for one in found] == [None] * 12
