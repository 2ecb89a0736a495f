"""`manifest.json` of version 2, as InsightFace 2.x ships it with `raccoon_s` and `raccoon_l`.

    {
      "manifest_version": 2, "model_id": "raccoon_s", "license": "MODEL.LICENSE",
      "tasks": {
        "detection": {"file": "detector.onnx", "sha256": "…",
                      "preprocessing": {"mean": 127.5, "std": 128.0}},
        "verification": {"file": "verifier.onnx", "preprocessing": "embedded", "expansion": 1.3},
        "recognition": {"file": "recognizer.onnx", "embedding_dimension": 512}
      }
    }

Fields and defaults are those that `model_zoo/package_manifest.py` of insightface 2.1 reads. It is
InsightFace's format, which may grow: fields and tasks that are not known here are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from face_service.errors import PackError
from face_service.packs.entries import Role
from face_service.packs.manifest import read_utf8, wrong
from face_service.packs.pack import PackModel, checked_sha256
from face_service.packs.roles import fits, read_header, why_not
from face_service.runtime.graph import UINT8
from face_service.runtime.pixel_input import Normalization
from face_service.vision.verifier import EXPANSION

VERSION = 2
EMBEDDED = "embedded"
"""The network takes pixels, 0 to 255, and normalises them itself."""
LICENCE_FILE = "MODEL.LICENSE"
DIMENSION = 512
"""Length of an embedding where neither the manifest nor the network says it."""


class _Lenient(BaseModel):
    model_config = ConfigDict(
        extra="ignore", frozen=True, allow_inf_nan=False, strict=True, str_strip_whitespace=True
    )

    @model_validator(mode="after")
    def _null_is_no_value(self) -> Self:
        for name in self.model_fields_set:
            if getattr(self, name) is None:
                raise ValueError(f"{name} is null: give it a value, or leave it out")
        return self


def inside(file: str, ending: str) -> str:
    """Returns `file`. Raises ValueError unless it is a relative path that stays below the
    manifest's folder and ends in `ending`, in upper or lower case."""
    path = PurePosixPath(file)
    outside = path.is_absolute() or ".." in path.parts or any(c in file for c in "\\:\x00")
    if outside or not file.lower().endswith(ending.lower()):
        raise ValueError(f"a path below this folder that ends in {ending} is needed")
    return file


class Scaling(_Lenient):
    """Input is (pixel - mean) / std, of pixels 0 to 255."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    mean: float
    std: Annotated[float, Field(gt=0)]


Preprocessing = Literal["embedded"] | Scaling


class Task(_Lenient):
    """One network: a file below the manifest's folder. preprocessing: None for that of _DEFAULTS.
    expansion: of a verifier, see vision/verifier.py. embedding_dimension: None if not stated."""

    file: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    preprocessing: Preprocessing | None = None
    expansion: Annotated[float, Field(gt=0)] = EXPANSION
    input_size: tuple[Literal[112], Literal[112]] = (112, 112)
    embedding_dimension: Annotated[int, Field(gt=0)] | None = None

    @field_validator("file")
    @classmethod
    def _stays_inside(cls, file: str) -> str:
        return inside(file, ".onnx")


class Tasks(_Lenient):
    """The tasks that are known here, each None where the pack lacks it."""

    detection: Task | None = None
    verification: Task | None = None
    recognition: Task | None = None


class ManifestV2(_Lenient):
    """The whole file. license: path of its MODEL.LICENSE, below the manifest's folder."""

    manifest_version: Literal[2]
    model_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    license: str
    tasks: Tasks

    @field_validator("license")
    @classmethod
    def _is_a_licence(cls, file: str) -> str:
        return inside(file, LICENCE_FILE)


_DEFAULTS: Mapping[Role, Preprocessing] = MappingProxyType(
    {
        Role.DETECTION: Scaling(mean=127.5, std=128.0),
        Role.VERIFICATION: "embedded",
        Role.RECOGNITION: Scaling(mean=127.5, std=127.5),
    }
)


def manifest_version(path: Path) -> int | None:
    """The `manifest_version` that a manifest states; None where there is no manifest, it cannot be
    read as JSON, or it states no whole number."""
    try:
        content = json.loads(read_utf8(path))
    except (OSError, PackError, ValueError, RecursionError):
        return None
    version = content.get("manifest_version") if isinstance(content, dict) else None
    return version if type(version) is int else None


def read_v2(path: Path) -> tuple[ManifestV2, dict[Role, Task]]:
    """A manifest of version 2, and its tasks by role. Raises PackError where it is wrong or cannot
    be read."""
    try:
        manifest = ManifestV2.model_validate_json(read_utf8(path))
    except ValidationError as error:
        raise wrong(path, error) from error
    except OSError as error:
        raise PackError(f"{path} cannot be read: {error.strerror}.") from error
    tasks = {role: getattr(manifest.tasks, role) for role in _DEFAULTS}
    return manifest, {role: task for role, task in tasks.items() if task}


def model_of(directory: Path, role: Role, task: Task, licence: str) -> PackModel:
    """One network of a folder, hashed. Raises PackError where its file is outside the folder, is no
    whole ONNX file, or is not what the task says."""
    path = (directory / task.file).resolve()
    if not path.is_relative_to(directory.resolve()):
        raise PackError(f"{directory / task.file} leads out of its folder.")
    header = read_header(path)
    if not fits(header, role):
        raise PackError(why_not(path, header, role))
    preprocessing = task.preprocessing or _DEFAULTS[role]
    if preprocessing != EMBEDDED and header.inputs[0].kind == UINT8:
        raise PackError(f"{path} takes uint8, so its preprocessing must be embedded.")
    digest = checked_sha256(path, task.sha256, path)
    expansion = task.expansion if role is Role.VERIFICATION else None
    return PackModel(role, path, digest, _normalization(preprocessing), licence, expansion)


def _normalization(preprocessing: Preprocessing) -> Normalization:
    if isinstance(preprocessing, Scaling):
        return Normalization((preprocessing.mean,) * 3, preprocessing.std)
    return Normalization((0.0, 0.0, 0.0), 1.0)
