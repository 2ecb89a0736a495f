"""A quantised pack: made from one of fp32, compared with it, published by one rename."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from face_service.engine_factory.builder import Canvases, build_engine
from face_service.errors import PackError
from face_service.packs.entries import Role
from face_service.packs.local import load_folder
from face_service.packs.manifest import MANIFEST, Manifest, ManifestModel, ManifestThreshold
from face_service.packs.pack import QUANTIZATION, Pack, PackModel, sha256_of
from face_service.runtime.providers import CPU
from face_service.tools.evaluation import Pairs, measure_pairs, photos_of, read_pairs
from face_service.tools.photos import photo_bytes
from face_service.tools.quantization.calibration import build_cpu_detector, calibrate
from face_service.tools.quantization.network import quantize_network
from face_service.vision.blob import Image
from face_service.vision.boxes import Boxes, iou
from face_service.vision.detections import Detections
from face_service.vision.detector import Detector
from face_service.vision.scrfd import Scrfd

logger = logging.getLogger(__name__)

RECOGNISER_OPERATORS = ("Conv", "Gemm")
"""Quantising the matrix products of EdgeFace's attention too takes its cosine to fp32 from
0.965 to 0.901 and makes it no faster (docs/decisions/0011-precision.md)."""

MAX_LOSS = 0.003
"""Accuracy, 0..1, that a quantised pack may lose on pairs, at the best threshold of each."""

CLEAR_SCORE = 0.6
"""Faces of this score or more are not borderline: both detectors must find them."""
MAX_DISPUTED = 0.01
"""Of `disputed_faces`; above it the detector stays as it is (docs/decisions/0011-precision.md)."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The same pairs of photos, measured with the source pack and with the quantised one."""

    source: Pairs
    quantised: Pairs

    @property
    def loss(self) -> float:
        """Accuracy that is lost, 0..1, each at its own best threshold; negative where it is
        gained."""
        before, after = (
            pairs.accuracy(pairs.best_threshold()) for pairs in (self.source, self.quantised)
        )
        return before - after


@dataclass(frozen=True, slots=True)
class Trial:
    """The pairs of --pairs and the folder their names are relative to."""

    pairs: Path
    photos: Path


def quantize_pack(
    pack: Pack, photos: Path, out: Path, canvases: Canvases, threads: int, trial: Trial | None
) -> Pack:
    """Write the int8 form of `pack` to the folder `out`, which must not be there yet.

    The recogniser and an SCRFD are quantised, other networks copied. An SCRFD stays as it is where
    `disputed_faces` exceeds MAX_DISPUTED on photos it was not calibrated on, alone and in grids.
    With a `trial` the pack gets a threshold of its own; without one it has none. The folder appears
    whole or not at all. photos: the folder for calibration. threads: of the CPU.

    Raises PackError where `out` exists or cannot be made, `pack` is quantised already, or the trial
    shows a loss of more than MAX_LOSS; InvalidRequest for photos that show too few faces, and for a
    trial whose pairs or photos cannot be read.
    """
    if out.exists():
        raise PackError(f"{out} is there already: remove it, or name another folder with --out")
    if pack.precision == "int8":
        raise PackError(f"{pack.name} is quantised already")
    if trial:  # before the minutes that the rest takes
        for name in photos_of(read_pairs(trial.pairs)):
            photo_bytes(trial.photos / name)
    staging = out.with_name(f".{out.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
    except OSError as error:
        raise PackError(f"{out} cannot be written: {error.strerror}") from error
    try:
        _quantize_networks(pack, photos, staging, canvases, threads)
        write_manifest(pack, out.name, staging, None)
        if trial:
            judgement = judge(pack, load_folder(staging), canvases, threads, trial)
            write_manifest(pack, out.name, staging, threshold(judgement, trial))
        publish(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return load_folder(out)


def _quantize_networks(
    pack: Pack, photos: Path, staging: Path, canvases: Canvases, threads: int
) -> None:
    detector = build_cpu_detector(pack, canvases, threads)
    calibration = calibrate(photos, detector)
    logger.info("%d faces on %d photos", len(calibration.crops), len(calibration.photos))
    for role, model in pack.models.items():
        target = staging / file_name(pack, model)
        if role is Role.DETECTION and isinstance(detector, Scrfd):
            quantize_network(model.path, target, calibration.canvases(detector), None)
            quantised = replace(pack, models={**pack.models, role: replace(model, path=target)})
            int8 = build_cpu_detector(quantised, canvases, threads)
            disputed = disputed_faces(calibration.held_out(), detector, int8)
            logger.info("The int8 detector disputes %.2f %% of the clear faces", 100 * disputed)
            if disputed <= MAX_DISPUTED:
                continue
            logger.warning("That is too many: the detector stays as it is")
        elif role is Role.RECOGNITION:
            quantize_network(model.path, target, calibration.faces(model), RECOGNISER_OPERATORS)
            continue
        shutil.copyfile(model.path, target)


def disputed_faces(images: Iterable[Image], reference: Detector, detector: Detector) -> float:
    """Clear faces (CLEAR_SCORE) that only one of two detectors finds, as a share of those of
    `reference`: 0 or more, and more than 1 where the other one finds many of its own."""
    disputed = clear = 0
    for image in images:
        inputs = reference.preprocess(image)
        expected, found = reference.detect(inputs), detector.detect(inputs)
        sure, new = clear_faces(expected), clear_faces(found)
        clear += len(sure)
        disputed += sum(not covered(box, found) for box in sure.bboxes)
        disputed += sum(not covered(box, expected) for box in new.bboxes)
    return disputed / max(1, clear)


def clear_faces(found: Detections) -> Detections:
    """The detections with a score of CLEAR_SCORE or more."""
    return found.take(np.flatnonzero(found.scores >= CLEAR_SCORE))


def covered(box: Boxes, found: Detections) -> bool:
    """Whether a detection overlaps `box` (float32 [4]) with an IoU of at least 0.5."""
    return bool((iou(box, found.bboxes) >= 0.5).any())


def judge(
    source: Pack, quantised: Pack, canvases: Canvases, threads: int, trial: Trial
) -> Judgement:
    """Measure both packs on pairs. Raises PackError where more accuracy is lost than MAX_LOSS,
    InvalidRequest where pairs or photos cannot be read."""
    rows = read_pairs(trial.pairs)
    judgement = Judgement(
        *(
            measure_pairs(build_engine(pack, canvases, (CPU,), threads), rows, trial.photos)
            for pack in (source, quantised)
        )
    )
    if judgement.loss > MAX_LOSS:
        raise PackError(
            f"{source.name} loses {judgement.loss:.2%} of accuracy on {trial.pairs} when it is "
            f"quantised; {MAX_LOSS:.1%} are allowed. Nothing was written"
        )
    return judgement


def threshold(judgement: Judgement, trial: Trial) -> ManifestThreshold:
    """The best threshold of the quantised pack, and what it was measured on."""
    pairs, source = judgement.quantised, judgement.source
    best = pairs.best_threshold()
    return ManifestThreshold(
        similarity=round(best, 3),
        measured_on=(
            f"{trial.pairs.name}, {len(pairs.same)} pairs, the best threshold there: accuracy "
            f"{pairs.accuracy(best):.2%}, {source.accuracy(source.best_threshold()):.2%} in fp32"
        ),
        # None of a few hundred is not a rate of 0.
        false_match_rate=pairs.false_match_rate(best) or None,
    )


def write_manifest(pack: Pack, name: str, folder: Path, measured: ManifestThreshold | None) -> None:
    """Write the manifest of the networks in `folder`, made from those of `pack`. measured: the
    threshold of the new pack, None where it was not measured."""
    manifest = Manifest(
        name=name,
        licence=pack.licence,
        dimension=pack.dimension,
        precision="int8",
        quantization=QUANTIZATION,
        threshold=measured,
        models=tuple(
            _entry(model, folder / file_name(pack, model)) for model in pack.models.values()
        ),
    )
    text = manifest.model_dump_json(indent=2, exclude_none=True)
    (folder / MANIFEST).write_text(text + "\n")


def file_name(pack: Pack, model: PackModel) -> str:
    """What a network of a pack is called in one folder: its own name, or its role's where another
    network, of another folder, has that name."""
    names = [other.path.name for other in pack.models.values()]
    return f"{model.role}.onnx" if names.count(model.path.name) > 1 else model.path.name


def _entry(model: PackModel, path: Path) -> ManifestModel:
    return ManifestModel(
        file=path.name,
        role=model.role,
        sha256=sha256_of(path),
        mean=model.normalization.mean,
        std=model.normalization.std,
        order=model.normalization.order,
        expansion=model.expansion,
    )


def publish(staging: Path, out: Path) -> None:
    """Flush the files of `staging` to the disk and rename it to `out`."""
    for path in staging.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    staging.rename(out)
