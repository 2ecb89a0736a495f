"""An analysis as the bytes of a response."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pybase64
from fastapi import Response

from face_service.face_engine import Face, clip
from face_service.schemas import DetectOptions, EmbeddingFormat
from face_service.serving.service import Analysis
from face_service.stages import StageTimes


def render(
    analysis: Analysis,
    options: DetectOptions,
    processing_time_ms: float,
    request_id: str,
) -> Response:
    """A DetectResponse. orjson writes NumPy's float32 in the fewest digits that read back
    the same, half the size of the same numbers as Python floats."""
    content = {
        "faces": [render_face(face, analysis, options) for face in analysis.faces],
        "processing_time_ms": round(processing_time_ms, 2),
        "image_width": analysis.width,
        "image_height": analysis.height,
        "model": {
            "pack": analysis.info.pack,
            "recogniser": analysis.info.recogniser_sha256,
            "precision": analysis.info.precision,
        },
        "request_id": request_id,
    }
    return Response(
        orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY),
        media_type="application/json",
        headers={"Server-Timing": server_timing(analysis.times)},
    )


def render_face(face: Face, analysis: Analysis, options: DetectOptions) -> dict[str, Any]:
    """A FaceOut."""
    return {
        "bbox": clip(face.bbox, analysis.width, analysis.height),
        "embedding": render_embedding(face, options.embedding_format),
        "det_score": face.score,
        "age": face.age,
        "gender": face.gender,
        "landmarks": face.landmarks if options.landmarks else None,
        "error": face.error,
    }


def render_embedding(face: Face, form: EmbeddingFormat) -> object:
    """The embedding as float32 array, as base64 of little-endian float32, or None."""
    if face.embedding is None or form == "none":
        return None
    if form == "float":
        return face.embedding
    return pybase64.b64encode_as_string(face.embedding.astype(np.dtype("<f4")).tobytes())


def server_timing(times: StageTimes) -> str:
    """The stages as a Server-Timing header, in milliseconds."""
    return ", ".join(f"{stage};dur={ms:.2f}" for stage, ms in times.items())
