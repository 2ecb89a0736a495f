"""Results as JSON, in the shapes of `schemas`. Without HTTP: the command line prints them too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson
import pybase64

from face_service.engine_info import EngineInfo
from face_service.errors import RequestError
from face_service.face_engine import Embedding, Face
from face_service.schemas import DetectOptions, EmbeddingFormat, ThresholdOut
from face_service.serving.answers import ImageAnalysis
from face_service.serving.comparison import Comparison, Pair
from face_service.vision.boxes import clip
from face_service.vision.closer import Coverage


def render(
    analysis: ImageAnalysis,
    options: DetectOptions,
    elapsed_ms: float,
    request_id: str,
) -> list[bytes]:
    """A DetectResponse, in chunks. `elapsed_ms`: processing time in milliseconds."""
    content = {
        **render_image(analysis, options),
        "processing_time_ms": round(elapsed_ms, 2),
        "model": render_model(analysis.info),
        "request_id": request_id,
    }
    return [to_json(content)]


def render_batch(
    info: EngineInfo,
    names: Sequence[str | None],
    answers: Sequence[ImageAnalysis | RequestError],
    options: DetectOptions,
    elapsed_ms: float,
    request_id: str,
) -> list[bytes]:
    """A BatchResponse, in chunks: a result for each of `names`, in order, with its own status.

    Removes the faces from `answers`: text and faces of 32 files at once are twice the memory.
    """
    chunks = [b'{"results":[']
    for name, answer in zip(names, answers, strict=True):
        content = {
            "file": name,
            "status": answer.status if isinstance(answer, RequestError) else 200,
            **render_result(answer, options, request_id),
        }
        chunks += [b","] * (len(chunks) > 1) + [to_json(content)]
        if isinstance(answer, ImageAnalysis):
            answer.faces.clear()
    content = {
        "processing_time_ms": round(elapsed_ms, 2),
        "model": render_model(info),
        "request_id": request_id,
    }
    return [*chunks, b"]," + to_json(content)[1:]]


def render_comparison(
    analyses: tuple[ImageAnalysis, ImageAnalysis],
    found: Comparison,
    options: DetectOptions,
    elapsed_ms: float,
    request_id: str,
) -> list[bytes]:
    """A CompareResponse of the images `a` and `b`, in chunks."""
    content = {
        **comparison_fields(analyses, found, options),
        "processing_time_ms": round(elapsed_ms, 2),
        "request_id": request_id,
    }
    return [to_json(content)]


def comparison_fields(
    analyses: tuple[ImageAnalysis, ImageAnalysis], found: Comparison, options: DetectOptions
) -> dict[str, Any]:
    """A CompareResponse without time and request id; `face-service compare` prints it."""
    info = analyses[0].info
    return {
        **{
            name: render_image(analysis, options)
            for name, analysis in zip("ab", analyses, strict=True)
        },
        "pairs": [render_pair(pair) for pair in found.pairs],
        "best": found.best and render_pair(found.best),
        "verdict": found.verdict,
        "detail": found.detail,
        "threshold": ThresholdOut.of(info.threshold).model_dump(),
        "model": render_model(info),
    }


def render_pair(pair: Pair) -> dict[str, Any]:
    """A ComparedPair."""
    return {
        "a": pair.a,
        "b": pair.b,
        "similarity": np.float32(pair.similarity),
        "same_person": pair.same_person,
        "reliable": pair.reliable,
    }


def render_result(
    answer: ImageAnalysis | RequestError, options: DetectOptions, request_id: str
) -> dict[str, Any]:
    """A FileResult without name and status: the faces of one file, or its error."""
    if isinstance(answer, RequestError):
        return {**NO_IMAGE, "error": answer.body(request_id)}
    return {**render_image(answer, options), "error": None}


NO_IMAGE: Mapping[str, Any] = MappingProxyType(
    {
        "faces": (),
        "faces_omitted": 0,
        "smallest_face_px": None,
        "detection": None,
        "image_width": None,
        "image_height": None,
    }
)
"""The fields of `render_image` for an image that has an error instead."""


def render_image(analysis: ImageAnalysis, options: DetectOptions) -> dict[str, Any]:
    """A ComparedImage: the faces of an image, how they were looked for, and its size."""
    coverage = analysis.coverage
    return {
        "faces": render_faces(analysis, options),
        "faces_omitted": analysis.faces_omitted,
        "smallest_face_px": coverage and np.float32(coverage.smallest_face),
        "detection": coverage and render_detection(coverage, options),
        "image_width": analysis.width,
        "image_height": analysis.height,
    }


def render_detection(coverage: Coverage, options: DetectOptions) -> dict[str, Any]:
    """A DetectionOut."""
    fields = coverage._asdict()
    del fields["smallest_face"]
    return {**fields, "order": options.order}


def to_json(content: object) -> bytes:
    """JSON in which float32 has the fewest digits that read back the same: half the size of the
    same numbers as Python floats."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def render_model(info: EngineInfo) -> dict[str, str]:
    """A ModelUsed."""
    return {
        "pack": info.pack,
        "recogniser": info.recogniser_sha256,
        "precision": info.precision,
        "alignment": info.alignment,
    }


def render_faces(analysis: ImageAnalysis, options: DetectOptions) -> list[orjson.Fragment]:
    """The JSON of a FaceOut for each face, one at a time: orjson holds the interpreter's lock while
    it writes, which is short for one face and long for all of a batch."""
    return [
        orjson.Fragment(to_json(render_face(face, analysis, options))) for face in analysis.faces
    ]


def render_face(face: Face, analysis: ImageAnalysis, options: DetectOptions) -> dict[str, Any]:
    """A FaceOut."""
    return {
        "bbox": clip(face.bbox, analysis.width, analysis.height),
        "embedding": render_embedding(face, options.embedding_format),
        "det_score": np.float32(face.score),
        "face_confidence": None if face.confidence is None else np.float32(face.confidence),
        "age": face.age,
        "gender": face.gender,
        "landmarks": face.landmarks if options.landmarks else None,
        **render_quality(face, options.quality),
        "crop": face.crop and pybase64.b64encode_as_string(face.crop),
        "rotation": face.rotation,
        "error": face.error,
    }


def render_quality(face: Face, wanted: bool) -> dict[str, Any]:
    """The fields `quality`, `usable` and `reasons`; all None if not `wanted`."""
    if not wanted:
        return {"quality": None, "usable": None, "reasons": None}
    found = face.quality
    return {
        "quality": found
        and {
            "score": np.float32(found.score),
            "size": np.float32(found.size),
            "sharpness": np.float32(found.sharpness),
            "brightness": np.float32(found.brightness),
            "visible": np.float32(found.visible),
            "combing": np.float32(found.combing),
            "compression": found.compression and np.float32(found.compression),
            "pose": {name: np.float32(angle) for name, angle in found.pose._asdict().items()},
        },
        "usable": face.usable,
        "reasons": found.reasons if found else (),
    }


def render_embedding(face: Face, form: EmbeddingFormat) -> object:
    """The embedding as float32 array, as base64 of little-endian float32, or None."""
    if face.embedding is None or form == "none":
        return None
    if form == "float":
        return face.embedding
    return as_base64(face.embedding)


def as_base64(vector: Embedding) -> str:
    """Base64 of little-endian float32."""
    return pybase64.b64encode_as_string(vector.astype(np.dtype("<f4")).tobytes())
