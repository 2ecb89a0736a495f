"""`face-service models fingerprint`: two installations, stage by stage."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from onnx import TensorProto
from typer.testing import CliRunner

from face_service.cli import app
from face_service.engine_factory import fingerprints
from face_service.engine_factory.builder import Canvases, build_engine
from face_service.engine_factory.fingerprints import (
    PHOTOS,
    add_fingerprint,
    known_faces,
    space_fingerprint,
)
from face_service.errors import InvalidRequest
from face_service.face_engine import FaceEngine
from face_service.packs.entries import Role
from face_service.packs.pack import Pack, PackModel, sha256_of
from face_service.runtime.providers import CPU
from face_service.tools.fingerprint import Fingerprint, differences, measure, one_space, read
from face_service.vision.alignment import align_face
from face_service.vision.blob import EMBEDDED_NORMALIZATION
from face_service.vision.canvas import Size
from tests import raccoon
from tests.server import Server


@pytest.fixture(scope="module")
def opened(open_pack: Pack) -> FaceEngine:
    return build_engine(open_pack, Canvases((Size(640, 640),), None), (CPU,), threads=1)


def test_the_known_faces_are_faces(engine: FaceEngine) -> None:
    """Their landmarks are where a detector sees them."""
    crops = [align_face(face.image, face.landmarks) for face in known_faces()]
    assert len(crops) == 4
    assert len({np.asarray(crop).tobytes() for crop in crops}) == 4
    for face in known_faces():
        found = engine.analyse_image(face.image)
        assert min(np.abs(one.landmarks - face.landmarks).max() for one in found) < 1


def test_each_alignment_has_a_fingerprint(
    opened: FaceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a face so large that the two cut it otherwise; the bundled ones are smaller."""
    large = (((100, 100), (400, 100), (250, 250), (120, 400), (380, 400)),)
    monkeypatch.setattr(fingerprints, "PHOTOS", (PHOTOS[0]._replace(landmarks=large),))
    monkeypatch.setattr(fingerprints, "_known", {})
    told = set()
    for alignment in ("insightface", "antialiased"):
        monkeypatch.setattr(opened, "info", replace(opened.info, alignment=alignment))
        add_fingerprint(opened)
        told.add(opened.info.fingerprint)
    assert len(told) == 2


def test_another_detector_parts_at_detection_and_the_space_stays(
    engine: FaceEngine, opened: FaceEngine
) -> None:
    one, other = measure(engine), measure(opened)
    found = {each.stage: each.same for each in differences(one, other)}
    assert found == {
        "decode": True, "detect": False, "align": True, "embed": True, "attributes": True,
    }  # fmt: skip
    assert one_space(differences(one, other))
    assert all(each.same for each in differences(one, one))


def test_another_recogniser_is_another_space(engine: FaceEngine, with_edgeface: object) -> None:
    from face_service.packs.local import load_folder

    pack = load_folder(with_edgeface("det_500m"))  # type: ignore[operator]
    other = build_engine(pack, Canvases((Size(640, 640),), None), (CPU,), threads=1)
    one, its = measure(engine), measure(other)
    assert not one_space(differences(one, its))
    assert 0.3 < int(one.embed, 16).bit_count() / 256 < 0.7


def test_another_verifier_parts_at_verification_alone(starter: Pack, tmp_path: Path) -> None:
    def verified(seed: int) -> Fingerprint:
        path = raccoon.verifier(tmp_path / f"{seed}.onnx", 64, TensorProto.UINT8, seed)
        role = Role.VERIFICATION
        model = PackModel(role, path, sha256_of(path), EMBEDDED_NORMALIZATION, "")
        pack = replace(starter, models={**starter.models, role: model})
        return measure(build_engine(pack, Canvases((Size(640, 640),), None), (CPU,), threads=1))

    one, other = verified(0), verified(1)
    assert one.verify and len(one.verify) == 4
    found = {each.stage: each.same for each in differences(one, other)}
    assert found == {
        "decode": True, "detect": True, "verify": False, "align": True, "embed": True,
        "attributes": True,
    }  # fmt: skip
    assert all(each.same for each in differences(one, one))


def test_models_names_it_and_the_command_compares_with_it(
    server: Server, engine: FaceEngine, starter: Pack, tmp_path: Path
) -> None:
    client: httpx.Client = server.client
    answer = client.get("/models").json()
    assert answer["loaded"]["fingerprint"] == space_fingerprint(engine)
    (tmp_path / "models.json").write_text(json.dumps(answer))
    runner = CliRunner()
    environment = {"MODEL_CACHE_DIR": str(starter.directory.parent)}
    command = ["models", "fingerprint", "--model", "starter"]
    against = [*command, "--against", str(tmp_path / "models.json")]
    told = runner.invoke(app, against, env=environment)
    assert (told.exit_code, told.stdout.splitlines()[-1]) == (0, "one space"), told.output
    printed = runner.invoke(app, [*command, "--json"], env=environment).stdout
    content = json.loads(printed)
    content["embed"] = f"{int(content['embed'], 16) ^ (2**80 - 1):064x}"
    (tmp_path / "other.json").write_text(json.dumps(content))
    against[-1] = str(tmp_path / "other.json")
    told = runner.invoke(app, against, env=environment)
    assert told.exit_code == 1
    assert "embed       differs  31.2% of the bits differ" in told.stdout
    assert "detect      same" in told.stdout


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"loaded": null}', '{"loaded": {}}'])
def test_what_is_no_fingerprint_is_an_error(content: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InvalidRequest, match="neither what"):
        read(tmp_path / "x.json")
    with pytest.raises(InvalidRequest, match=r"y\.json cannot be read: No such file"):
        read(tmp_path / "y.json")
