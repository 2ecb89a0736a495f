"""The Parquet files of `embed`: a row for each item. docs/offline.md describes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from face_service.face_engine import Face
from face_service.offline.manifest import Item
from face_service.vision.boxes import clip

SCHEMA_VERSION = 1
"""Raised by one whenever a reader of the former could misread the new."""
MODEL_NAMES = ("pack", "recogniser", "precision", "alignment")
"""Columns, and fields of `about["model"]`, that say what made an embedding: those of two different
ones are never compared."""
VERSION_KEY = b"face_service.schema"
MODEL_KEY = b"face_service.model"
OPTIONS_KEY = b"face_service.options"
BOX, LANDMARKS = 4, 10


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item has no frames. code: of an error of the API, or `unreadable`, `crashed`,
    `timed_out`, `no_frames`. detail: a sentence for people."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Frame:
    """A photo, or a frame of a video. time_ms: milliseconds since the beginning of the video; None
    for a photo. width, height: in pixels, upright."""

    time_ms: int | None
    width: int
    height: int
    faces: Sequence[Face]


@dataclass(slots=True)
class Outcome:
    """What became of an item: its frames, or else a failure; a frame may have no faces."""

    item: Item
    frames: list[Frame] = field(default_factory=list)
    failure: Failure | None = None

    @property
    def faces(self) -> int:
        """How many faces all frames have."""
        return sum(len(frame.faces) for frame in self.frames)


def schema(dimension: int, about: dict[str, Any]) -> Any:
    """The pyarrow.Schema of a part whose embeddings have `dimension` numbers. about: see
    `Request.about`; model and options go into the metadata."""
    face = pa.struct(
        [
            pa.field("bbox", pa.list_(pa.float32(), BOX), nullable=False),
            pa.field("score", pa.float32(), nullable=False),
            pa.field("landmarks", pa.list_(pa.float32(), LANDMARKS), nullable=False),
            pa.field("embedding", pa.list_(pa.float32(), dimension)),
            pa.field("quality", pa.float32()),
            pa.field("usable", pa.bool_()),
            pa.field("reasons", pa.list_(pa.string()), nullable=False),
            pa.field("age", pa.int16()),
            pa.field("gender", pa.string()),
            pa.field("error", pa.string()),
            pa.field("rotation", pa.int16()),
        ]
    )
    frame = pa.struct(
        [
            pa.field("time_ms", pa.int64()),
            pa.field("width", pa.int32(), nullable=False),
            pa.field("height", pa.int32(), nullable=False),
            pa.field("faces", pa.list_(face), nullable=False),
        ]
    )
    return pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            pa.field("uri", pa.string(), nullable=False),
            pa.field("start_s", pa.float64()),
            pa.field("end_s", pa.float64()),
            pa.field("frames", pa.list_(frame), nullable=False),
            pa.field("error", pa.struct([("code", pa.string()), ("detail", pa.string())])),
            pa.field("pack", pa.string(), nullable=False),
            pa.field("recogniser", pa.string(), nullable=False),
            pa.field("precision", pa.string(), nullable=False),
            pa.field("alignment", pa.string(), nullable=False),
        ],
        metadata={
            VERSION_KEY: str(SCHEMA_VERSION),
            MODEL_KEY: json.dumps(about["model"], sort_keys=True),
            OPTIONS_KEY: json.dumps(about["options"], sort_keys=True),
        },
    )


def table(outcomes: Sequence[Outcome], dimension: int, about: dict[str, Any]) -> Any:
    """The outcomes as a pyarrow.Table of `schema`, a row each."""
    model = {name: about["model"][name] for name in MODEL_NAMES}
    rows = [as_row(outcome) | model for outcome in outcomes]
    return pa.Table.from_pylist(rows, schema=schema(dimension, about))


def as_row(outcome: Outcome) -> dict[str, Any]:
    """A row by its columns, without those of MODEL_NAMES."""
    item, failure = outcome.item, outcome.failure
    return {
        "id": item.id,
        "uri": item.uri,
        "start_s": item.start_s,
        "end_s": item.end_s,
        "frames": [
            {
                "time_ms": frame.time_ms,
                "width": frame.width,
                "height": frame.height,
                "faces": [as_struct(face, frame) for face in frame.faces],
            }
            for frame in outcome.frames
        ],
        "error": {"code": failure.code, "detail": failure.detail} if failure else None,
    }


def as_struct(face: Face, frame: Frame) -> dict[str, Any]:
    """A face as a struct of `schema`: `bbox` clipped to the frame, in pixels, and `landmarks` as 10
    numbers, x and y in turn; the rest as in the API."""
    return {
        "bbox": clip(face.bbox, frame.width, frame.height),
        "score": face.score,
        "landmarks": face.landmarks.ravel(),
        "embedding": face.embedding,
        "quality": face.quality.score if face.quality else None,
        "usable": face.usable,
        "reasons": list(face.quality.reasons) if face.quality else [],
        "age": face.age,
        "gender": face.gender,
        "error": face.error,
        "rotation": face.rotation,
    }
