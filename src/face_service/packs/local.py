"""A folder of ONNX files as a pack. The role of each network follows from its SHA-256 where the
catalogue has it, else from its inputs and outputs.

A `manifest.json` beside the files states the roles instead: ours (`Manifest`), or that of
InsightFace 2.x (`ManifestV2`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from face_service.errors import PackError
from face_service.packs.catalog import CATALOG
from face_service.packs.entries import CatalogFile, Role
from face_service.packs.manifest import MANIFEST, Manifest, ManifestModel, read_manifest
from face_service.packs.manifest_v2 import (
    DIMENSION,
    VERSION,
    manifest_version,
    model_of,
    read_v2,
)
from face_service.packs.model_license import licence_in
from face_service.packs.pack import (
    QUANTIZATION,
    Pack,
    PackModel,
    by_role,
    checked_sha256,
    sha256_of,
)
from face_service.packs.roles import (
    fits,
    normalization_of,
    read_header,
    roles_of,
    why_not,
    why_unused,
)
from face_service.runtime.graph import OnnxHeader
from face_service.thresholds import Threshold

logger = logging.getLogger(__name__)

UNKNOWN_LICENCE = "not stated: files of your own"


@dataclass(frozen=True, slots=True)
class _Found:
    model: PackModel
    header: OnnxHeader


def load_folder(directory: Path) -> Pack:
    """Read a folder as a pack; hashes every network. Without a manifest, a network that fits no
    role, or several, is logged and not used.

    Raises PackError where it is no folder, a file is broken, detection or recognition is missing, a
    role is there twice, or the manifest is wrong or does not fit the files.
    """
    try:
        is_folder = directory.is_dir()
    except OSError as error:
        raise PackError(f"{directory} cannot be read: {error.strerror}.") from error
    if not is_folder:
        raise PackError(f"{directory} is not a folder: no model pack can be read from it.")
    version = manifest_version(directory / MANIFEST)
    if version == VERSION:
        return _load_v2(directory)
    manifest = read_manifest(directory) if version is None else None
    if manifest and manifest.precision == "int8" and manifest.quantization != QUANTIZATION:
        raise PackError(
            f"{directory} is int8, and its {MANIFEST} does not say "
            f'"quantization": "{QUANTIZATION}": weights of 8 bits give other embeddings on '
            "processors without VNNI. Quantise the pack it was made from once more: face-service "
            "models quantize PACK --calibrate PHOTOS --out FOLDER; then embed everything again"
        )
    found, ignored = _listed(directory, manifest) if manifest else _discovered(directory)
    if version is not None:  # read by its shapes, as insightface does
        ignored[MANIFEST] = f"version {version} is not known; 2 is InsightFace's, ours has none"
        logger.warning("%s is not used: %s", directory / MANIFEST, ignored[MANIFEST])
    for role in (Role.DETECTION, Role.RECOGNITION):
        if role not in found:
            raise PackError(
                f"{directory} holds no {role} network."
                + "".join(f"\n  not used: {name}: {why}" for name, why in ignored.items())
                + "".join(f"\n  There are networks in {inner}" for inner in _below(directory))
            )
    recogniser = found[Role.RECOGNITION]
    pack = Pack(
        name=(manifest and manifest.name) or directory.resolve().name,
        directory=directory,
        models=by_role(item.model for item in found.values()),
        dimension=_dimension(
            recogniser.model.path, recogniser.header, manifest.dimension if manifest else None
        ),
        threshold=Threshold(**manifest.threshold.model_dump())
        if manifest and manifest.threshold
        else None,
        operating_points=manifest.operating_points if manifest else None,
        licence=(manifest and manifest.licence) or UNKNOWN_LICENCE,
        precision=manifest.precision if manifest else "fp32",
    )
    _log(pack)
    return pack


def _below(directory: Path) -> list[Path]:
    """Sub-folders that hold ONNX files: archives are often unpacked into a folder of their own."""
    return sorted({path.parent for path in directory.glob("*/*.onnx")})


def _load_v2(directory: Path) -> Pack:
    """`load_folder` for a manifest of version 2, which has no tasks of age and gender."""
    manifest, tasks = read_v2(directory / MANIFEST)
    for role in (Role.DETECTION, Role.RECOGNITION):
        if role not in tasks:
            raise PackError(f"{directory / MANIFEST} has no task {role}.")
    licence = licence_in(directory / manifest.license, manifest.model_id)
    models = by_role(model_of(directory, role, task, licence) for role, task in tasks.items())
    path, said = models[Role.RECOGNITION].path, tasks[Role.RECOGNITION].embedding_dimension
    pack = Pack(
        name=manifest.model_id,
        directory=directory,
        models=models,
        dimension=_dimension(path, read_header(path), said, otherwise=DIMENSION),
        threshold=None,
        operating_points=None,
        licence=licence,
    )
    _log(pack)
    return pack


def _log(pack: Pack) -> None:
    roles = ", ".join(f"{role}: {model.path.name}" for role, model in pack.models.items())
    logger.info("Pack %s read from %s (%s)", pack.name, pack.directory, roles)


def _listed(directory: Path, manifest: Manifest) -> tuple[dict[Role, _Found], dict[str, str]]:
    found = {}
    for entry in manifest.models:
        path = directory / entry.file
        header = read_header(path)
        if not fits(header, entry.role):
            raise PackError(why_not(path, header, entry.role))
        digest = checked_sha256(path, entry.sha256, path)
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
        roles = [known.role] if known else roles_of(header)
        if len(roles) != 1:
            ignored[path.name] = why_unused(header)
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
    normalization = known.normalization if known else normalization_of(role, header)
    if entry:
        normalization = entry.normalization(normalization)
    return PackModel(
        role,
        path,
        digest,
        normalization,
        licence or (known.licence if known else UNKNOWN_LICENCE),
        entry.expansion if entry else None,
    )


def _catalogued(digest: str) -> CatalogFile | None:
    files = (file for pack in CATALOG.values() for file in pack.files)
    return next((file for file in files if file.sha256 == digest), None)


def _dimension(
    path: Path, header: OnnxHeader, said: int | None, otherwise: int | None = None
) -> int:
    """The length of a recogniser's embeddings. said: by the manifest. otherwise: the length where
    neither manifest nor network states one. Raises PackError where they differ, or none is left."""
    shape = header.outputs[0].shape
    read = shape[-1] if shape else None
    if read and said and read != said:
        raise PackError(f"{path} makes embeddings of {read}, its manifest says {said}.")
    if dimension := read or said or otherwise:
        return dimension
    raise PackError(
        f"{path} does not say how long its embeddings are: give `dimension` in a manifest.json."
    )
