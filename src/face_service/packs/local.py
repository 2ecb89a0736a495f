"""A folder of ONNX files as a pack: the role of each network follows from its inputs and outputs.

Roles and normalisation follow insightface 2.1 (`model_zoo.py`, `arcface_onnx.py`,
`attribute.py`), so that a folder means the same here and there. A `manifest.json` beside
the files states them instead, see `Manifest`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from face_service.errors import PackError
from face_service.packs.catalog import (
    AGE_AND_GENDER_NORMALIZATION,
    CATALOG,
    CatalogFile,
    Role,
)
from face_service.packs.manifest import MANIFEST, Manifest, ManifestModel, read_manifest
from face_service.packs.pack import QUANTIZATION, Pack, PackModel, by_role, sha256_of
from face_service.runtime import graph
from face_service.runtime.graph import OnnxHeader
from face_service.runtime.pixel_input import Normalization
from face_service.thresholds import Threshold
from face_service.vision.blob import (
    ARCFACE_NORMALIZATION,
    EMBEDDED_NORMALIZATION,
    SCRFD_NORMALIZATION,
    YUNET_NORMALIZATION,
)

logger = logging.getLogger(__name__)

UNKNOWN_LICENCE = "not stated: files of your own"
INPUT_SIDE = {Role.RECOGNITION: 112, Role.GENDERAGE: 96, Role.AGE: 64, Role.GENDER: 32}
"""Side, in pixels, of the square input of every network but the detector."""
# The last axis of their only output.
_OUTPUT_AXIS = {Role.GENDERAGE: 3, Role.AGE: 81, Role.GENDER: 2}
_SMALLEST_EMBEDDING = 128
# SCRFD with landmarks: scores, boxes, landmarks, each at strides 8, 16, 32.
_SCRFD_AXES = (1, 1, 1, 4, 4, 4, 10, 10, 10)
# YuNet: class, object, boxes, landmarks, likewise.
_YUNET_AXES = (1, 1, 1, 1, 1, 1, 4, 4, 4, 10, 10, 10)
_ATTRIBUTE_NORMALIZATION = Normalization((127.5, 127.5, 127.5), 128.0)  # attribute.py


@dataclass(frozen=True, slots=True)
class _Found:
    model: PackModel
    header: OnnxHeader


def read_header(path: Path) -> OnnxHeader:
    """The header of an ONNX file. Raises PackError if it is not one, or is cut short."""
    try:
        return graph.read_header(path)
    except (ValueError, IndexError) as error:
        raise PackError(f"{path} is not a whole ONNX file: {error}.") from error
    except OSError as error:
        raise PackError(f"{path} cannot be read: {error.strerror}.") from error


def load_folder(directory: Path) -> Pack:
    """Read a folder as a pack; hashes every network.

    Raises PackError where it is no folder, a file is broken, a role is missing or there twice, or
    the manifest does not fit.
    """
    if not directory.is_dir():
        raise PackError(f"{directory} is not a folder: no model pack can be read from it.")
    manifest = read_manifest(directory)
    if manifest and manifest.precision == "int8" and manifest.quantization != QUANTIZATION:
        raise PackError(
            f"{directory} is int8, and its {MANIFEST} does not say "
            f'"quantization": "{QUANTIZATION}": weights of 8 bits give other embeddings on '
            "processors without VNNI. Quantise the pack it was made from once more: face-service "
            "models quantize PACK --calibrate PHOTOS --out FOLDER; then embed everything again"
        )
    found, ignored = _listed(directory, manifest) if manifest else _discovered(directory)
    for role in (Role.DETECTION, Role.RECOGNITION):
        if role not in found:
            raise PackError(
                f"{directory} holds no {role} network."
                + "".join(f"\n  not used: {name}: {why}" for name, why in ignored.items())
            )
    pack = Pack(
        name=(manifest and manifest.name) or directory.resolve().name,
        directory=directory,
        models=by_role(item.model for item in found.values()),
        dimension=_dimension(found[Role.RECOGNITION], manifest),
        threshold=Threshold(**manifest.threshold.model_dump())
        if manifest and manifest.threshold
        else None,
        operating_points=manifest.operating_points if manifest else None,
        licence=(manifest and manifest.licence) or UNKNOWN_LICENCE,
        precision=manifest.precision if manifest else "fp32",
    )
    roles = ", ".join(f"{role}: {model.path.name}" for role, model in pack.models.items())
    logger.info("Pack %s read from %s (%s)", pack.name, directory, roles)
    return pack


def _listed(directory: Path, manifest: Manifest) -> tuple[dict[Role, _Found], dict[str, str]]:
    found = {}
    for entry in manifest.models:
        path = directory / entry.file
        header = read_header(path)
        if not _fits(header, entry.role):
            raise PackError(f"{path} cannot be the {entry.role} network: it has {_shapes(header)}.")
        digest = sha256_of(path)
        if entry.sha256 and entry.sha256 != digest:
            raise PackError(f"{path} has SHA-256 {digest}, {entry.sha256} was expected.")
        found[entry.role] = _Found(
            _model(path, entry.role, digest, header, manifest.licence, entry), header
        )
    return found, {}


def _discovered(directory: Path) -> tuple[dict[Role, _Found], dict[str, str]]:
    found: dict[Role, _Found] = {}
    ignored: dict[str, str] = {}
    for path in sorted(directory.glob("*.onnx")):
        header, digest = read_header(path), sha256_of(path)
        known = _catalogued(digest)
        roles = [known.role] if known else [role for role in Role if _fits(header, role)]
        if len(roles) != 1:
            ignored[path.name] = _why_unused(header)
            logger.warning("%s is not used: %s", path, ignored[path.name])
            continue
        role = roles[0]
        if other := found.get(role):
            raise PackError(
                f"{directory} holds two {role} networks, {other.model.path.name} and "
                f"{path.name}: remove one, or name the one to use in a manifest.json."
            )
        found[role] = _Found(_model(path, role, digest, header, None, None), header)
    return found, ignored


def _model(
    path: Path,
    role: Role,
    digest: str,
    header: OnnxHeader,
    licence: str | None,
    entry: ManifestModel | None,
) -> PackModel:
    known = _catalogued(digest)
    normalization = known.normalization if known else _normalization(role, header)
    if entry:
        normalization = entry.normalization(normalization)
    return PackModel(
        role, path, digest, normalization, licence or (known.licence if known else UNKNOWN_LICENCE)
    )


def _catalogued(digest: str) -> CatalogFile | None:
    files = (file for pack in CATALOG.values() for file in pack.files)
    return next((file for file in files if file.sha256 == digest), None)


def _fits(header: OnnxHeader, role: Role) -> bool:
    """Whether the shapes allow this role; an axis the file leaves open fits anything."""
    shape = header.inputs[0].shape or (None,) * 4
    axes = [output.shape[-1] if output.shape else None for output in header.outputs]
    if len(header.inputs) != 1 or len(shape) != 4 or shape[1] not in (3, None):
        return False
    if role is Role.DETECTION:
        return _is_detector(axes, _SCRFD_AXES) or _is_detector(axes, _YUNET_AXES)
    if len(axes) != 1 or any(side not in (INPUT_SIDE[role], None) for side in shape[2:]):
        return False
    if role is Role.RECOGNITION:
        return axes[0] is None or axes[0] >= _SMALLEST_EMBEDDING
    return axes[0] in (_OUTPUT_AXIS[role], None)


def _is_detector(axes: Sequence[int | None], expected: Sequence[int]) -> bool:
    return len(axes) == len(expected) and all(
        axis in (right, None) for axis, right in zip(axes, expected, strict=True)
    )


def _why_unused(header: OnnxHeader) -> str:
    shape = header.inputs[0].shape
    if shape and shape[2:] == (192, 192):
        return "a landmark network"
    if len(header.outputs) in (6, 10):
        return f"{len(header.outputs)} outputs: a detector without landmarks cannot align faces"
    return f"no role, or more than one, fits {_shapes(header)}"


def _shapes(header: OnnxHeader) -> str:
    inputs, outputs = (
        " ".join(
            "×".join(str(axis or "?") for axis in tensor.shape or ()) or "?" for tensor in tensors
        )
        for tensors in (header.inputs, header.outputs)
    )
    return f"inputs {inputs}; outputs {outputs}"


def _normalization(role: Role, header: OnnxHeader) -> Normalization:
    first_nodes = header.first_nodes
    match role:
        case Role.DETECTION:
            yunet = len(header.outputs) == len(_YUNET_AXES)
            return YUNET_NORMALIZATION if yunet else SCRFD_NORMALIZATION
        case Role.AGE | Role.GENDER:
            return AGE_AND_GENDER_NORMALIZATION
        case Role.RECOGNITION:
            return EMBEDDED_NORMALIZATION if _embedded(first_nodes) else ARCFACE_NORMALIZATION
        case Role.GENDERAGE:
            embedded = _embedded(first_nodes) or "bn_data" in first_nodes[:3]
            return EMBEDDED_NORMALIZATION if embedded else _ATTRIBUTE_NORMALIZATION


def _embedded(first_nodes: tuple[str, ...]) -> bool:
    """Whether the network begins with its own subtraction and multiplication."""
    return all(
        any(name.startswith(prefixes) for name in first_nodes)
        for prefixes in (("Sub", "_minus"), ("Mul", "_mul"))
    )


def _dimension(recogniser: _Found, manifest: Manifest | None) -> int:
    shape = recogniser.header.outputs[0].shape
    read, said = shape[-1] if shape else None, manifest.dimension if manifest else None
    if read and said and read != said:
        raise PackError(
            f"{recogniser.model.path} makes embeddings of {read}, its manifest says {said}."
        )
    if dimension := read or said:
        return dimension
    raise PackError(
        f"{recogniser.model.path} does not say how long its embeddings are: "
        "give `dimension` in a manifest.json."
    )
