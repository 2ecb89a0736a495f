"""What an engine is made of, and where it computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from face_service.runtime.placement import Placement
from face_service.runtime.processor import Processor, processor
from face_service.thresholds import OperatingPoints, Threshold
from face_service.vision.alignment import Alignment


class NetworkFile(NamedTuple):
    """A file that an engine was made from; `sha256` in hexadecimal."""

    role: str
    file: str
    sha256: str
    licence: str


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine is made of.

    Embeddings may be compared only where pack, recogniser, precision and alignment are the same.
    dimension: of embeddings. threshold, operating_points: None where they are not known. threads:
    most that a network runs on, on the CPU.
    det_sizes: sides of the detector's canvas that a request may ask for, in pixels, ascending.
    providers: those that compute; asked: what ONNX_PROVIDERS says; offered: what this ONNX Runtime
    was built with. fallback: why the best of `asked` does not compute; None if it does.
    warnings: what is not as it was asked for, or as it should be, though it computes.
    fingerprint: of the embedding space (vision/fingerprint.py); None where it was not computed.
    placement: how many nodes of each network run on which provider. processor: this machine's.
    """

    pack: str
    licence: str
    files: tuple[NetworkFile, ...]
    recogniser_sha256: str
    dimension: int
    precision: str
    threshold: Threshold | None
    operating_points: OperatingPoints | None
    providers: tuple[str, ...]
    threads: int
    alignment: Alignment = "insightface"
    det_sizes: tuple[int, ...] = ()
    asked: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()
    fallback: str | None = None
    warnings: tuple[str, ...] = ()
    placement: Mapping[str, Placement] = field(default_factory=dict)
    fingerprint: str | None = None
    processor: Processor = field(default_factory=processor)
