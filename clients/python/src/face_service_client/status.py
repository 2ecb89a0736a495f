"""What the service says of itself and of model packs, as dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .results import Threshold


@dataclass(frozen=True, slots=True)
class Processor:
    """The service's processor. class_name: that of processors with the same numerical results, such
    as `avx2`. instruction_sets: those that affect how networks are computed. precision: how bf16
    and int8 are computed. Both are empty if unknown."""

    name: str
    class_name: str
    instruction_sets: tuple[str, ...]
    precision: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where networks are computed. asked: the execution providers of ONNX_PROVIDERS; offered: those
    that ONNX Runtime was built with; taken: those that compute, best first. placement: by network
    and provider, how many of its nodes run there. warnings: faults that do not prevent computing.
    processor: None from an older service."""

    asked: tuple[str, ...]
    offered: tuple[str, ...]
    taken: tuple[str, ...]
    placement: Mapping[str, Mapping[str, int]]
    warnings: tuple[str, ...] = ()
    processor: Processor | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """The detector gate: the detector in int8, run first; where it finds no face, the detector does
    not run. mode: DET_GATE. state: `running`, `idle` (it would cost more than it saves), `building`
    or `none`. detail: how it was judged, or why there is none. cost: CPU time of a run as a share
    of the detector's. empty: share of images without a face lately, 0 to 1."""

    mode: str
    state: str
    detail: str | None
    cost: float | None
    empty: float | None


@dataclass(frozen=True, slots=True)
class PackFile:
    """One network of a pack."""

    role: str
    file: str
    sha256: str
    licence: str


@dataclass(frozen=True, slots=True)
class VerificationPoint:
    """One face with one other: `similarity` is reached by the share `false_match_rate` of the pairs
    of two people's faces, and by the share `true_match_rate` of the pairs of one person's. Rates
    are 0 to 1."""

    false_match_rate: float
    similarity: float
    true_match_rate: float


@dataclass(frozen=True, slots=True)
class IdentificationPoint:
    """One face with the references of many: `similarity` to the nearest of `people` people is
    reached by the share `false_positive_rate` of strangers, 0 to 1. measured: with so many real
    people; else extrapolated from fewer."""

    people: int
    false_positive_rate: float
    similarity: float
    measured: bool


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """Similarities, and how often each is reached. measured_on: the photos that they were measured
    on."""

    measured_on: str
    verification: tuple[VerificationPoint, ...]
    identification: tuple[IdentificationPoint, ...]


@dataclass(frozen=True, slots=True)
class Pack:
    """A model pack; `precision` and all after it belong to the loaded one only.

    threshold: from which similarity on two faces are taken for one person. operating_points: the
    same at several error rates, for one with one and for one of many; None where nobody has
    measured them. same_person_threshold, threshold_measured_on and false_match_rate are former
    names of what `threshold` has. fingerprint: bits of its embeddings of bundled photos, 64
    hexadecimal digits; two services share one space where at most 2 % of the bits differ.
    """

    name: str
    licence: str
    embedding_dimension: int
    same_person_threshold: float | None
    threshold_measured_on: str | None
    files: tuple[PackFile, ...]
    false_match_rate: float | None = None
    threshold: Threshold | None = None
    operating_points: OperatingPoints | None = None
    precision: str | None = None
    fingerprint: str | None = None
    alignment: str | None = None
    onnx_providers: tuple[str, ...] = ()
    fallback: str | None = None
    runtime: Runtime | None = None


@dataclass(frozen=True, slots=True)
class Models:
    """The pack that is loaded (None until it is) and those known by name."""

    loaded: Pack | None
    known: tuple[Pack, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """The state and configuration of the service.

    status: `healthy`, `starting`, `recovering`, `failed` or `draining` (about to end). detail: why
    it has failed. threads: of ONNX Runtime, within a run of a network. recogniser: SHA-256 of its
    file. progress: what is compiled while it starts, and how far it has come. fallback: why the
    provider that was asked for does not compute. gate: None from an older service. networks:
    "loaded", "unloaded" after a long time without a request, or "loading" for the next one.
    alignment: how faces are cut out. None is also what is not known before a pack is loaded.
    """

    status: str
    version: str
    model: str
    onnx_providers: tuple[str, ...]
    embedding_dimension: int | None
    detail: str | None
    uptime_seconds: float
    threads: int | None
    recogniser: str | None
    precision: str | None
    progress: str | None = None
    fallback: str | None = None
    runtime: Runtime | None = None
    gate: Gate | None = None
    networks: str = "loaded"
    alignment: str | None = None
