"""A pack on disk, verified and ready to be loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from face_service.errors import PackError
from face_service.packs.entries import Role
from face_service.runtime.pixel_input import Normalization
from face_service.thresholds import OperatingPoints, Threshold

PackPrecision = Literal["fp32", "int8"]
"""The precision of a pack's weights."""

PIECE = 16 << 20
"""Bytes that are read and hashed at once. Each step releases the interpreter's lock, and then waits
up to 5 ms for it while other threads import modules (docs/decisions/0005): so the steps are few."""
QUANTIZATION = "u8s7"
"""How the networks of an int8 pack are quantised: activations of 8 bits without a sign, weights of
7 bits with one. Sums of two products stay within 16 bits, so that every processor computes the
same (docs/decisions/0011-precision.md)."""


@dataclass(frozen=True, slots=True)
class PackModel:
    """One network: an ONNX file whose SHA-256 is known to be `sha256` (64 hex digits). expansion:
    side of a verifier's squares as a multiple of the box's longer side; None for EXPANSION of
    vision/verifier.py, and in other roles."""

    role: Role
    path: Path
    sha256: str
    normalization: Normalization
    licence: str
    expansion: float | None = None


@dataclass(frozen=True, slots=True)
class Pack:
    """The networks of one pack, by role; detection and recognition are always there.

    dimension: length of its embeddings. threshold, operating_points: None where it is unknown from
    which similarity on two of them are one person. precision: int8 where networks were quantised.
    """

    name: str
    directory: Path
    models: Mapping[Role, PackModel]
    dimension: int
    threshold: Threshold | None
    operating_points: OperatingPoints | None
    licence: str
    precision: PackPrecision = "fp32"


def by_role(models: Iterable[PackModel]) -> Mapping[Role, PackModel]:
    """The models by their roles, as a read-only mapping."""
    return MappingProxyType({model.role: model for model in models})


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, as 64 lower-case hex digits. Raises OSError."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(PIECE))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            digest.update(buffer[:size])
    return digest.hexdigest()


def checked_sha256(path: Path, expected: str | None, called: object) -> str:
    """`sha256_of` a file. Raises PackError, which calls the file `called`, where that is not
    `expected`; None accepts any."""
    found = sha256_of(path)
    if expected and found != expected:
        raise PackError(f"{called} has SHA-256 {found}, {expected} was expected")
    return found
