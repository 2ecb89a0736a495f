"""Answers over HTTP as results.

Functions that read an Answer raise ValueError, KeyError or TypeError for one of another form.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

import numpy as np

from .errors import ErrorAnswer, error_type
from .groups import Embedded, EmbeddedFace, Group, Grouping, GroupThresholds, Track
from .results import (
    Batch,
    Comparison,
    Coverage,
    Detection,
    Face,
    FileResult,
    Floats,
    ModelUsed,
    Pair,
    Picture,
    Pose,
    Quality,
    Reason,
    Threshold,
)
from .status import (
    Gate,
    Health,
    IdentificationPoint,
    Models,
    OperatingPoints,
    Pack,
    PackFile,
    Processor,
    Runtime,
    VerificationPoint,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. status: of HTTP. headers: by names, upper and lower case alike."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body. Raises ValueError if it is not JSON."""
        return json.loads(self.body)

    @property
    def stages(self) -> dict[str, float]:
        """Milliseconds by stage: `Server-Timing: detect;dur=81.20, embed;dur=75.31`."""
        header = self.headers.get("server-timing", "")
        parts = (part.strip().partition(";dur=") for part in header.split(",") if ";dur=" in part)
        return {stage: float(duration) for stage, _, duration in parts}


def detection(answer: Answer) -> Detection:
    """A DetectResponse."""
    raw = answer.json()
    return _make(Detection, raw, **_found(raw), **_common(answer, raw))


def batch(answer: Answer) -> Batch:
    """A BatchResponse."""
    raw = answer.json()
    results = tuple(
        _make(FileResult, one, **_found(one), error=_file_error(one)) for one in raw["results"]
    )
    return _make(Batch, raw, results=results, **_common(answer, raw))


def comparison(answer: Answer) -> Comparison:
    """What POST /compare answers."""
    raw = answer.json()
    return _make(
        Comparison,
        raw,
        a=_make(Picture, raw["a"], **_found(raw["a"])),
        b=_make(Picture, raw["b"], **_found(raw["b"])),
        pairs=tuple(_make(Pair, pair) for pair in raw["pairs"]),
        best=_make(Pair, raw["best"]) if raw["best"] else None,
        threshold=_make(Threshold, raw["threshold"]),
        **_common(answer, raw),
    )


def embedded(answer: Answer) -> Embedded:
    """An EmbedResponse."""
    raw = answer.json()
    results = tuple(
        _make(
            EmbeddedFace,
            one,
            embedding=_decode(one["embedding"]),
            crop=_bytes(one["crop"]),
            error=_file_error(one),
        )
        for one in raw["results"]
    )
    return _make(Embedded, raw, results=results, **_common(answer, raw))


def grouping(answer: Answer) -> Grouping:
    """A GroupResponse."""
    raw = answer.json()
    return _make(
        Grouping,
        raw,
        tracks=tuple(_members(Track, one) for one in raw["tracks"]),
        groups=tuple(_members(Group, one) for one in raw["groups"]),
        track_labels=tuple(raw["track_labels"]),
        group_labels=tuple(raw["group_labels"]),
        thresholds=_make(GroupThresholds, raw["thresholds"]),
        **_common(answer, raw),
    )


def _members(kind: type[T], raw: Any) -> T:
    lists = {name: tuple(value) for name, value in raw.items() if isinstance(value, list)}
    return _make(kind, raw, **lists, embedding=_decode(raw["embedding"]))


def models(answer: Answer) -> Models:
    """A ModelsResponse."""
    raw = answer.json()
    loaded = _pack(raw["loaded"]) if raw["loaded"] else None
    return Models(loaded, tuple(_pack(pack) for pack in raw["known"]))


def health(answer: Answer) -> Health:
    """A HealthResponse."""
    raw = answer.json()
    providers, runtime = tuple(raw["onnx_providers"]), _runtime(raw.get("runtime"))
    gate = _make(Gate, raw["gate"]) if raw.get("gate") else None
    return _make(Health, raw, onnx_providers=providers, runtime=runtime, gate=gate)


def _common(answer: Answer, raw: Any) -> dict[str, Any]:
    return {"model": _make(ModelUsed, raw["model"]), "stages": answer.stages}


def _found(raw: Any) -> dict[str, Any]:
    """Faces, and how they were looked for; an older service does not say how."""
    coverage = raw.get("detection")
    if coverage is not None:
        coverage = _make(Coverage, coverage, angles=tuple(coverage["angles"]))
    return {"faces": _faces(raw), "detection": coverage}


def _faces(raw: Any) -> tuple[Face, ...]:
    return tuple(
        _make(
            Face,
            face,
            bbox=np.array(face["bbox"], np.float32),
            embedding=_decode(face["embedding"]),
            landmarks=_points(face["landmarks"]),
            quality=_quality(face.get("quality")),
            reasons=_words(face.get("reasons")),
            crop=_bytes(face.get("crop")),
        )
        for face in raw["faces"]
    )


def _decode(text: str | None) -> Floats | None:
    if text is None:
        return None
    return np.frombuffer(base64.b64decode(text), np.dtype("<f4")).astype(np.float32)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def _points(raw: Any) -> Floats | None:
    return None if raw is None else np.array(raw, np.float32)


def _words(raw: Any) -> tuple[Reason, ...] | None:
    return None if raw is None else tuple(raw)


def _quality(raw: Any) -> Quality | None:
    return None if raw is None else _make(Quality, raw, pose=_make(Pose, raw["pose"]))


def _pack(raw: Any) -> Pack:
    return _make(
        Pack,
        raw,
        files=tuple(_make(PackFile, file) for file in raw["files"]),
        onnx_providers=tuple(raw.get("onnx_providers", ())),
        runtime=_runtime(raw.get("runtime")),
        threshold=_make(Threshold, raw["threshold"]) if raw.get("threshold") else None,
        operating_points=_operating_points(raw.get("operating_points")),
    )


def _operating_points(raw: Any) -> OperatingPoints | None:
    if raw is None:
        return None
    return OperatingPoints(
        raw["measured_on"],
        tuple(_make(VerificationPoint, one) for one in raw["verification"]),
        tuple(_make(IdentificationPoint, one) for one in raw["identification"]),
    )


def _runtime(raw: Any) -> Runtime | None:
    if raw is None:
        return None
    lists = {name: tuple(raw[name]) for name in ("asked", "offered", "taken")}
    return _make(Runtime, raw, **lists, processor=_processor(raw.get("processor")))


def _processor(raw: Any) -> Processor | None:
    if raw is None:
        return None
    return _make(Processor, raw, instruction_sets=tuple(raw["instruction_sets"]))


def _file_error(raw: Any) -> ErrorAnswer | None:
    if (error := raw["error"]) is None:
        return None
    kind = error_type(raw["status"], error["code"])
    return kind(error["detail"], raw["status"], error["code"], error["request_id"])


def _make(kind: type[T], raw: Any, **made: Any) -> T:
    """A dataclass of what `raw` has under the names of its fields; `made` has precedence.

    Names of a newer service are ignored, those an older one lacks get the field's default.
    Raises KeyError where there is none.
    """
    for one in fields(kind):  # type: ignore[arg-type]
        if one.name not in made and (one.name in raw or one.default is MISSING):
            made[one.name] = raw[one.name]
    return kind(**made)
