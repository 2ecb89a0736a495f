"""Recognisers that people bring: of other lengths, and with free height and width."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from face_service.engine_factory.builder import Canvases, build_engine
from face_service.packs.local import load_folder
from face_service.runtime.providers import CPU
from face_service.tools.photos import read_photo
from face_service.vision.canvas import Size

from .server import Server


@pytest.mark.parametrize("length", [128, 256])
def test_its_embeddings_are_as_long_as_it_says(
    length: int,
    with_free_sides: Callable[[int], Path],
    with_edgeface: Callable[[str], Path],
    four_faces: Path,
) -> None:
    canvases = Canvases((Size(640, 640),), None)
    short, whole = (
        build_engine(load_folder(folder), canvases, (CPU,), threads=1)
        for folder in (with_free_sides(length), with_edgeface("det_500m"))
    )
    photo = read_photo(four_faces)
    pairs = zip(short.analyse_image(photo), whole.analyse_image(photo), strict=True)
    assert short.info.dimension == length
    for face, other in pairs:
        assert face.embedding is not None and other.embedding is not None
        assert face.embedding.shape == (length,)
        expected = other.embedding[:length] / np.linalg.norm(other.embedding[:length])
        np.testing.assert_allclose(face.embedding, expected, atol=1e-5)


def test_every_endpoint_takes_them(
    with_free_sides: Callable[[int], Path], start_server: Callable[..., Server], four_faces: Path
) -> None:
    server = start_server(INSIGHTFACE_MODEL=str(with_free_sides(128)))
    server.wait_until_ready()
    client: httpx.Client = server.client
    assert client.get("/health").json()["embedding_dimension"] == 128
    photo = four_faces.read_bytes()
    faces = client.post("/detect?crops=true", files={"file": photo}).json()["faces"]
    assert [len(face["embedding"]) for face in faces] == [128] * 4
    compared = client.post("/compare", files={"file_a": photo, "file_b": photo}).json()
    assert compared["best"]["similarity"] == pytest.approx(1, abs=1e-5)
    again = client.post("/embed", json={"crops_base64": [face["crop"] for face in faces]})
    assert [len(one["embedding"]) for one in again.json()["results"]] == [128] * 4
    limits = {"track_similarity": 0.5, "group_similarity": 0.5}
    seen = [{"embedding": face["embedding"]} for face in faces]
    grouped = client.post("/group", json={"faces": seen, **limits})
    assert grouped.status_code == 200, grouped.text
