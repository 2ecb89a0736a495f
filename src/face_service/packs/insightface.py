"""InsightFace's packs of release v0.7, and what is known of their files."""

from __future__ import annotations

from collections.abc import Mapping

from face_service.packs.entries import CatalogFile, CatalogPack, HttpsArchive, Role
from face_service.thresholds import Threshold
from face_service.vision.blob import (
    ARCFACE_NORMALIZATION,
    EMBEDDED_NORMALIZATION,
    SCRFD_NORMALIZATION,
)

INSIGHTFACE_RELEASE = "https://github.com/deepinsight/insightface/releases/download/v0.7"
MODEL_ZOO = "https://github.com/deepinsight/insightface/releases/download/model-zoo"
UNPINNED = ("raccoon_s", "raccoon_l", "cheetah_s", "cheetah_l")
"""Packs of version 2 in the release `model-zoo`. The SHA-256 of their archives is not known here,
so that `catalog.find` refuses these names."""
INSIGHTFACE_LICENCE = "InsightFace models: non-commercial research only"

# InsightFace's guidance (docs/packs.md): its files could not be downloaded here to be measured.
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


INSIGHTFACE_PACKS = (
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
)
