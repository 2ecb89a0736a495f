"""What the service says of itself and of model packs, as dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .results import Threshold


@dataclass(frozen=True, slots=True)
class Processor:
    """The processor. class_name: one word for processors that compute alike. instruction_sets:
    those that decide how networks are computed. precision: how bf16 and int8 are computed."""

    name: str
    class_name: str
    instruction_sets: tuple[str, ...]
    precision: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Runtime:
    """What computes: execution providers that were asked for, that ONNX Runtime was built with,
    and that compute, best first. placement: by network and provider, how many of its nodes run
    there. warnings: what is not as it should be, though it computes. processor: None from a
    service that does not name it."""

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
    of the detector's. empty: share of images without a face lately."""

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
    reached by the share `false_positive_rate` of strangers. measured: not extrapolated from
    fewer."""

    people: int
    false_positive_rate: float
    similarity: float
    measured: bool


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """Similarities, and how often each is reached."""

    measured_on: str
    verification: tuple[VerificationPoint, ...]
    identification: tuple[IdentificationPoint, ...]


@dataclass(frozen=True, slots=True)
class Pack:
    """A model pack; `precision` and all after it belong to the loaded one only.

    threshold: from which similarity two faces are taken for one person. operating_points: that for
    one with one, and for one of many; None where nobody has measured it. The three fields after
    them are former names of what `threshold` has. fingerprint: of its embeddings of bundled photos;
    two services share one space where at most 2 % of the bits differ.
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
    """Whether faces can be had, and what would compute them.

    status: `healthy`, or why not. detail: what went wrong. progress: what is done while it
    starts. fallback: why the provider that was asked for does not compute. gate: None from a
    service that has none. networks: "loaded", "unloaded" while nobody has asked for long, or
    "loading" for whoever has asked then. alignment: how faces are cut out.
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
