"""The fingerprint of an installation, stage by stage: in which stages two installations differ.

Every stage starts from the bundled photos as this installation decodes them. Those after detection
are given fixed landmarks, so that what the detector finds does not change them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from face_service.engine_factory.fingerprints import PHOTOS, known_faces, space_fingerprint
from face_service.errors import InvalidRequest
from face_service.face_engine import FaceEngine, Options, finish
from face_service.observability.timing import StageTimes
from face_service.runtime.processor import processor
from face_service.vision.alignment import align_face
from face_service.vision.fingerprint import MOST_DIFFERENT, share_different
from face_service.vision.image import decode

BOX_TOLERANCE, SCORE_TOLERANCE = 0.1, 0.005
"""By which two detections of one face may differ: pixels of each box side, and the score, 0..1."""
CONFIDENCE_TOLERANCE = 0.005
"""By which two answers of a verifier, 0..1, may differ."""


Photos = list[list[list[float]]]
"""Of each photo, of each of its faces: x1, y1, x2, y2 in pixels, and the score."""


class Fingerprint(BaseModel):
    """What `face-service models fingerprint --json` prints.

    decode, align: SHA-256 of pixels. detect: boxes and scores of each bundled photo. verify: the
    verifier's probability, 0..1, that each box holds a face; null where the pack has no verifier.
    embed: see `vision.fingerprint`. recogniser: SHA-256 of its file. processor: its class.
    attributes: age in years and gender of each face, null where the pack does not estimate them.
    A stage that is null was not measured.
    """

    model_config = ConfigDict(extra="ignore")

    pack: str
    precision: str
    embed: Annotated[str, Field(pattern=r"^([0-9a-f]{16})+$")]
    recogniser: str | None = None
    processor: str | None = None
    decode: str | None = None
    detect: Photos | None = None
    verify: list[float] | None = None
    align: str | None = None
    attributes: list[tuple[int | None, str | None]] | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A stage of two installations. same: within the tolerance of the stage, or equal where it
    has none. detail: how far apart they are, in words."""

    stage: str
    same: bool
    detail: str


def read(path: Path) -> Fingerprint:
    """A fingerprint from a file: the output of `face-service models fingerprint --json`, or an
    answer of GET /models, which has the stage `embed` only. Raises InvalidRequest for anything
    else."""
    try:
        content = json.loads(path.read_bytes())
        loaded = content.get("loaded")
        if isinstance(loaded, dict):
            content = loaded | {"pack": loaded["name"], "embed": loaded["fingerprint"]}
        return Fingerprint.model_validate(content)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, AttributeError) as error:
        raise InvalidRequest(
            f"{path} is neither what `models fingerprint --json` prints nor an answer of GET "
            "/models"
        ) from error


def measure(engine: FaceEngine) -> Fingerprint:
    """Measure every stage of an engine on the bundled photos (`PHOTOS`)."""
    images = [decode(photo.path.read_bytes(), 10**7) for photo in PHOTOS]
    wanted = Options(embeddings=False, attributes=False, quality=False)
    faces = known_faces()
    crops = [align_face(face.image, face.landmarks, engine.info.alignment) for face in faces]
    # known=False, as if a detector had found them: a verifier skips faces that a caller knows.
    found = [face._replace(known=False) for face in faces]
    described = finish(
        engine.describe(found, Options(embeddings=False, quality=False), StageTimes())
    )
    sure = [round(face.confidence, 4) for face in described if face.confidence is not None]
    return Fingerprint(
        pack=engine.info.pack,
        precision=engine.info.precision,
        recogniser=engine.info.recogniser_sha256,
        processor=processor().class_name,
        decode=digest(images),
        detect=[
            [
                [round(float(value), 3) for value in (*face.bbox, face.score)]
                for face in engine.analyse_image(image, wanted)
            ]
            for image in images
        ],
        verify=sure or None,
        align=digest([crop for crop in crops if crop is not None]),
        embed=space_fingerprint(engine),
        attributes=[(face.age, face.gender) for face in described],
    )


def digest(images: list[np.ndarray[Any, Any]]) -> str:
    """SHA-256 of the pixels of all images in turn, as 64 hexadecimal digits."""
    pixels = b"".join(np.ascontiguousarray(image).tobytes() for image in images)
    return hashlib.sha256(pixels).hexdigest()


def differences(one: Fingerprint, other: Fingerprint) -> list[Difference]:
    """Compare every stage that both have, in the order of the pipeline."""
    bits = share_different(one.embed, other.embed)
    found = [
        _exact("decode", one.decode, other.decode),
        _detections(one.detect, other.detect),
        _verifications(one.verify, other.verify),
        _exact("align", one.align, other.align),
        Difference("embed", bits <= MOST_DIFFERENT, f"{bits:.1%} of the bits differ"),
        _exact("attributes", one.attributes, other.attributes),
    ]
    return [each for each in found if each is not None]


def one_space(found: list[Difference]) -> bool:
    """Whether embeddings of two installations may be compared. found: of `differences`."""
    return next(each.same for each in found if each.stage == "embed")


def _exact(stage: str, one: object, other: object) -> Difference | None:
    if one is None or other is None:
        return None
    return Difference(stage, one == other, "equal" if one == other else "other pixels or estimates")


def _detections(one: Photos | None, other: Photos | None) -> Difference | None:
    if one is None or other is None:
        return None
    if [len(faces) for faces in one] != [len(faces) for faces in other]:
        return Difference("detect", False, "another number of faces")
    worst_box = worst_score = 0.0
    for faces, others in zip(one, other, strict=True):
        for face, its in zip(faces, others, strict=True):
            gaps = np.abs(np.array(face) - np.array(its))
            worst_box, worst_score = max(worst_box, gaps[:4].max()), max(worst_score, gaps[4])
    same = worst_box <= BOX_TOLERANCE and worst_score <= SCORE_TOLERANCE
    return Difference("detect", bool(same), f"boxes {worst_box:.3f} px, scores {worst_score:.4f}")


def _verifications(one: list[float] | None, other: list[float] | None) -> Difference | None:
    if one is None or other is None:
        return None
    worst = float(np.abs(np.array(one) - np.array(other)).max()) if len(one) == len(other) else 1.0
    return Difference("verify", worst <= CONFIDENCE_TOLERANCE, f"confidences {worst:.4f}")
