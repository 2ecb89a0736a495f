"""The fingerprint of an installation, stage by stage: where two of them part.

Each stage has an input of its own, so that a difference stays in it: decoding has the bytes of the
bundled photos, alignment, recogniser and attributes have fixed landmarks.
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
"""Pixels, and the score, by which two detections of one face may differ."""
CONFIDENCE_TOLERANCE = 0.005
"""By which two answers of a verifier may differ."""


Photos = list[list[list[float]]]
"""Boxes and scores of the faces of each photo."""


class Fingerprint(BaseModel):
    """What `face-service models fingerprint` prints as JSON.

    decode, align: SHA-256 of pixels. detect: boxes and scores of each bundled photo. verify: what
    the verifier says of each face, null where the pack has none. embed: see `vision.fingerprint`.
    attributes: age and gender of each face, null where there are none. What is null was not
    measured.
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
    """A stage of two installations. same: within what rounding does. detail: how far apart."""

    stage: str
    same: bool
    detail: str


def read(path: Path) -> Fingerprint:
    """A fingerprint from a file: of `face-service models fingerprint --json`, or an answer of
    GET /models, which names the stage `embed` alone. Raises InvalidRequest for anything else."""
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
    """The fingerprint of an engine."""
    images = [decode(photo.path.read_bytes(), 10**7) for photo in PHOTOS]
    wanted = Options(embeddings=False, attributes=False, quality=False)
    faces = known_faces()
    crops = [align_face(face.image, face.landmarks, engine.info.alignment) for face in faces]
    # As if a detector had found them: of faces that a caller knows a verifier is not asked.
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
    """SHA-256 of pixels, as 64 hexadecimal digits."""
    pixels = b"".join(np.ascontiguousarray(image).tobytes() for image in images)
    return hashlib.sha256(pixels).hexdigest()


def differences(one: Fingerprint, other: Fingerprint) -> list[Difference]:
    """Every stage that both have, in the order in which an image meets them."""
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
    """Whether embeddings of the two may be compared."""
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
