"""The Python clients against the real server."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, fields
from importlib.metadata import requires
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest

from face_service_client import (
    AsyncClient,
    Batch,
    Client,
    Comparison,
    Coverage,
    Detection,
    Embedded,
    EmbeddedFace,
    Face,
    FileResult,
    Gate,
    Group,
    Grouping,
    GroupThresholds,
    Health,
    IdentificationPoint,
    InvalidImage,
    InvalidRequest,
    Models,
    ModelUsed,
    OperatingPoints,
    Options,
    Pack,
    PackFile,
    Pair,
    Picture,
    Pose,
    Processor,
    Quality,
    Reason,
    Retry,
    Runtime,
    Threshold,
    Track,
    Unauthorized,
    Verdict,
    VerificationPoint,
    similarity,
)
from tests.server import Server

from .conftest import KEY, Connect


def test_faces_are_those_of_the_wire(connect: Connect, server: Server, four_faces: Path) -> None:
    found = connect(server.url).detect(four_faces, request_id="test-of-the-client")
    raw = server.client.post("/detect", files={"file": four_faces.read_bytes()}).json()
    assert (found.image_width, found.image_height) == (610, 340)
    assert found.faces_omitted == 0
    assert found.model.pack == raw["model"]["pack"]
    assert found.request_id == "test-of-the-client"
    assert set(found.stages) >= {"decode", "detect", "embed"}
    assert len(found.faces) == len(raw["faces"]) == 4
    for face, wire in zip(found.faces, raw["faces"], strict=True):
        assert np.array_equal(face.bbox, np.array(wire["bbox"], np.float32))
        assert np.array_equal(face.landmarks, np.array(wire["landmarks"], np.float32))
        assert np.array_equal(face.embedding, np.array(wire["embedding"], np.float32))
        assert face.embedding.shape == (512,)
        assert face.embedding.dtype == np.float32
        assert similarity(face, face) == pytest.approx(1, abs=1e-5)
        assert (face.age, face.gender) == (wire["age"], wire["gender"])
        assert asdict(face.quality) == wire["quality"]
        assert (face.usable, list(face.reasons)) == (wire["usable"], wire["reasons"])


def test_options_reach_the_service(connect: Connect, server: Server, four_faces: Path) -> None:
    client = connect(server.url)
    (face,) = client.detect(
        four_faces, max_faces=1, embeddings=False, attributes=False, landmarks=False, quality=False
    ).faces
    assert (face.embedding, face.age, face.gender, face.landmarks) == (None,) * 4
    assert (face.quality, face.usable, face.reasons) == (None,) * 3
    with pytest.raises(ValueError, match="not asked for"):
        similarity(face, face)
    assert not client.detect(four_faces, min_score=1.0).faces
    assert 0 < len(client.detect(four_faces, min_face_size=87, embeddings=False).faces) < 4
    with pytest.raises(InvalidRequest, match="max_faces"):
        client.detect(four_faces, max_faces=0)
    with pytest.raises(InvalidRequest, match="minscore"):
        client.detect(four_faces, minscore=0.5)  # type: ignore[call-arg]


def test_a_bad_file_of_a_batch_is_an_error_in_its_place(
    connect: Connect, server: Server, four_faces: Path, six_faces: Path
) -> None:
    with six_faces.open("rb") as file:
        good, bad, other = connect(server.url).detect_batch([four_faces, b"no image", file]).results
    assert [len(one.faces) for one in (good, bad, other)] == [4, 0, 6]
    assert (good.file, other.file) == ("four.jpg", "t1.jpg")
    assert (good.status, good.error, good.image_width) == (200, None, 610)
    assert (bad.status, bad.image_width) == (400, None)
    assert isinstance(bad.error, InvalidImage)
    assert isinstance(other.faces[0].embedding, np.ndarray)


def test_who_is_who_at_the_threshold_of_the_pack(
    connect: Connect, server: Server, six_faces: Path
) -> None:
    client = connect(server.url)
    found = client.compare(six_faces, six_faces.read_bytes(), max_faces=2, request_id="compared")
    assert found.request_id == "compared"
    assert (len(found.a.faces), found.b.image_width, len(found.pairs)) == (2, 1280, 4)
    assert found.pairs[0] == found.best
    assert found.best.similarity > 0.99
    assert found.best.same_person is True
    assert found.threshold == client.models().loaded.threshold
    assert found.threshold.similarity == client.models().loaded.same_person_threshold == 0.275
    assert found.a.faces[0].embedding is None
    again = client.compare(six_faces, six_faces, embeddings=True)
    assert again.verdict == found.verdict
    for pair in found.pairs:
        counted = similarity(again.a.faces[pair.a], again.b.faces[pair.b])
        assert counted == pytest.approx(pair.similarity, abs=1e-4)
    with pytest.raises(InvalidImage, match="file_b"):
        client.compare(six_faces, b"no image")


def test_base64_is_taken_as_text_and_made_of_files(
    connect: Connect, server: Server, six_faces: Path
) -> None:
    client = connect(server.url)
    expected = [face.det_score for face in client.detect(six_faces).faces]
    text = base64.b64encode(six_faces.read_bytes()).decode()
    for image in (text, f"data:image/jpeg;base64,{text}", six_faces, six_faces.read_bytes()):
        found = client.extract_embedding(image, max_faces=4)
        assert [face.det_score for face in found.faces] == expected[:4]


def test_what_is_no_image_is_an_invalid_image(connect: Connect, server: Server) -> None:
    with pytest.raises(InvalidImage) as caught:
        connect(server.url).detect(b"no image", request_id="a-bad-one")
    assert (caught.value.status, caught.value.request_id) == (400, "a-bad-one")


def test_models_and_health(connect: Connect, server: Server) -> None:
    client = connect(server.url)
    loaded = client.models().loaded
    assert loaded is not None
    assert (loaded.name, loaded.embedding_dimension) == ("open", 512)
    assert loaded.same_person_threshold == 0.275
    points = loaded.operating_points
    assert [point.false_match_rate for point in points.verification] == [0.01, 0.001, 0.0001]
    assert {point.people for point in points.identification if point.measured} == {5, 20, 59}
    assert loaded.onnx_providers == loaded.runtime.taken == ("CPUExecutionProvider",)
    assert sum(loaded.runtime.placement["face_detection_yunet_2023mar.onnx"].values()) > 0
    assert {file.role for file in loaded.files} >= {"detection", "recognition"}
    assert "buffalo_l" in {pack.name for pack in client.models().known}
    health = client.health()
    assert (health.status, health.model, health.detail) == ("healthy", "open", None)
    assert health.gate is not None
    assert asdict(health.gate) == server.client.get("/health").json()["gate"]
    assert health.recogniser in {file.sha256 for file in loaded.files}
    assert client.ready() is True


def test_a_service_that_starts_is_waited_for(
    start_server: Callable[..., Server], four_faces: Path
) -> None:
    starting = start_server(DRAIN_GRACE_S="0")
    with Client(starting.url, retry=Retry(cap=0.25)) as client:
        assert client.ready() is False
        assert len(client.detect(four_faces).faces) == 4
        assert client.ready() is True
    starting.stop()


def test_a_key_opens(connect: Connect, locked: Server) -> None:
    assert connect(locked.url).ready() is True
    assert connect(locked.url, api_key=KEY).models().loaded is not None
    with pytest.raises(Unauthorized, match="API key"):
        connect(locked.url).models()


def test_many_at_once(server: Server, six_faces: Path) -> None:
    async def all_of_them() -> list[int]:
        async with AsyncClient(server.url) as client:
            found = await asyncio.gather(*(client.detect(six_faces) for _ in range(8)))
        return [len(one.faces) for one in found]

    assert asyncio.run(all_of_them()) == [6] * 8


RESULTS = {
    "EmbedResponse": Embedded,
    "EmbeddedFace": EmbeddedFace,
    "GateOut": Gate,
    "GroupOut": Group,
    "GroupResponse": Grouping,
    "GroupThresholds": GroupThresholds,
    "IdentificationPoint": IdentificationPoint,
    "OperatingPoints": OperatingPoints,
    "TrackOut": Track,
    "VerificationPoint": VerificationPoint,
    "BatchResponse": Batch,
    "CompareResponse": Comparison,
    "ComparedImage": Picture,
    "ComparedPair": Pair,
    "DetectResponse": Detection,
    "DetectionOut": Coverage,
    "FaceOut": Face,
    "FileResult": FileResult,
    "HealthResponse": Health,
    "LoadedPackOut": Pack,
    "ModelFileOut": PackFile,
    "ModelUsed": ModelUsed,
    "ModelsResponse": Models,
    "PoseOut": Pose,
    "ProcessorOut": Processor,
    "QualityOut": Quality,
    "RuntimeOut": Runtime,
    "ThresholdOut": Threshold,
}


def test_results_have_the_fields_of_the_openapi_document(server: Server) -> None:
    document = server.client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert set(RESULTS) == set(schemas) - {"ErrorResponse", "PackOut", "StatusResponse"}
    for name, kind in RESULTS.items():
        own = {field.name for field in fields(kind)} - {"stages"}
        assert own == set(schemas[name]["properties"]), name
    (reasons, _) = schemas["FaceOut"]["properties"]["reasons"]["anyOf"]
    assert set(get_args(Reason)) == set(reasons["items"]["enum"])
    assert set(get_args(Verdict)) == set(
        schemas["CompareResponse"]["properties"]["verdict"]["enum"]
    )
    parameters = document["paths"]["/detect"]["post"]["parameters"]
    options = {
        "embedding_format" if name == "embeddings" else name for name in get_type_hints(Options)
    }
    assert options == {parameter["name"] for parameter in parameters}


SAMPLE = """
from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

from face_service_client import AsyncClient, Client, Comparison

def sync(client: Client) -> None:
    (face,) = client.detect(Path("a"), max_faces=1).faces
    assert_type(face.embedding, NDArray[np.float32] | None)
    client.detect(open("a", "rb"), quality=False)
    client.detect("a", max_face=1)  # type: ignore[call-arg]
    client.detect("a", min_score="0.5")  # type: ignore[arg-type]

async def asynchronous(client: AsyncClient) -> None:
    assert_type(await client.compare(b"a", "b"), Comparison)
"""


def test_the_types_are_shipped_and_strict(tmp_path: Path) -> None:
    """Strict: an error that is ignored and is none would be an error."""
    (tmp_path / "sample.py").write_text(SAMPLE)
    mypy = [sys.executable, "-m", "mypy", "--strict", "sample.py"]
    run = subprocess.run(mypy, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


def test_it_needs_httpx_and_numpy_and_nothing_else() -> None:
    assert requires("face-service-client") == ["httpx>=0.27", "numpy>=2.0"]
    import_alone = "import face_service_client, sys; sys.exit('face_service' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", import_alone]).returncode == 0
