"""`manifest.json` in a folder of ONNX files: roles, normalisation and licence of the files.

    {
      "name": "edgeface", "licence": "research only", "dimension": 512,
      "threshold": {"similarity": 0.235, "measured_on": "LFW, 6,000 pairs: 99.57 %",
                    "false_match_rate": 0.0025},
      "models": [
        {"file": "det_2.5g.onnx", "role": "detection"},
        {"file": "edgeface_xs.onnx", "role": "recognition", "mean": 127.5, "std": 127.5}
      ]
    }

All but `models` may be left out, and of a model all but `file` and `role`. A pack that
`face-service models quantize` made says `"precision": "int8", "quantization": "u8s7"`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from face_service.errors import PackError
from face_service.packs.entries import Role
from face_service.packs.pack import PackPrecision
from face_service.runtime.pixel_input import Normalization
from face_service.thresholds import OperatingPoints

MANIFEST = "manifest.json"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ManifestModel(_Strict):
    """One network. `mean` (one number, or three in `order`) and `std`: of pixels 0 to 255.
    `expansion`: of a verifier, side of its squares as a multiple of the box's longer side."""

    # A plain name: nothing that could lead out of the folder.
    file: Annotated[str, Field(pattern=r"^[^/\\:\x00]+\.onnx$")]
    role: Role
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    mean: float | tuple[float, float, float] | None = None
    std: Annotated[float, Field(gt=0)] | None = None
    order: Literal["rgb", "bgr"] | None = None
    expansion: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _mean_with_std(self) -> Self:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std are given together or not at all")
        if self.expansion is not None and self.role is not Role.VERIFICATION:
            raise ValueError("expansion is of a verification network alone")
        return self

    def normalization(self, otherwise: Normalization) -> Normalization:
        """The entry's normalisation; `otherwise` for what it does not state."""
        order = self.order or otherwise.order
        if self.mean is None or self.std is None:
            return Normalization(otherwise.mean, otherwise.std, order)
        mean = (self.mean,) * 3 if isinstance(self.mean, float) else self.mean
        return Normalization(mean, self.std, order)


class ManifestThreshold(_Strict):
    """Cosine similarity from which two embeddings are one person's, how that is known, and
    the share, 0 to 1, of pairs of two people that reach it; None where it is not known."""

    # Until version 0.2 also under its former name.
    similarity: Annotated[
        float, Field(ge=-1, le=1, validation_alias=AliasChoices("similarity", "same_person"))
    ]
    measured_on: str
    false_match_rate: Annotated[float, Field(ge=0, le=1)] | None = None


class Manifest(_Strict):
    """The whole file. Networks it does not list are not loaded.

    name: the folder's where it is left out. dimension: needed only if the network does not say it.
    quantization: has to be QUANTIZATION (pack.py) where `precision` is int8.
    """

    name: str | None = None
    licence: str | None = None
    dimension: Annotated[int, Field(gt=0)] | None = None
    precision: PackPrecision = "fp32"
    quantization: str | None = None
    threshold: ManifestThreshold | None = None
    operating_points: OperatingPoints | None = None
    models: Annotated[tuple[ManifestModel, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _roles_are_unique(self) -> Self:
        role, count = Counter(model.role for model in self.models).most_common(1)[0]
        if count > 1:
            files = " and ".join(model.file for model in self.models if model.role == role)
            raise ValueError(f"two networks for {role}: {files}")
        return self


def read_manifest(directory: Path) -> Manifest | None:
    """The folder's manifest, None where there is none. Raises PackError for one that is wrong or
    cannot be read."""
    path = directory / MANIFEST
    try:
        return Manifest.model_validate_json(read_utf8(path))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise wrong(path, error) from error
    except OSError as error:
        raise PackError(f"{path} cannot be read: {error.strerror}.") from error


def read_utf8(path: Path) -> str:
    """The text of a manifest, without the byte order mark that editors on Windows put before it.
    Raises OSError, and PackError where it is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PackError(
            f"{path} is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8."
        ) from error


def wrong(path: Path, error: ValidationError) -> PackError:
    """The error that says of each field of a manifest what is wrong with it."""
    faults = (
        # Without pydantic's names for the parts of a union, which are not in the file.
        f"{'.'.join(str(name) for name in fault['loc'] if '[' not in str(name)) or path.name}: "
        f"{fault['msg'].removeprefix('Value error, ')}"
        for fault in error.errors()
    )
    return PackError(f"{path} is wrong: {'; '.join(faults)}.")
