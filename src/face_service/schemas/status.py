"""Responses of /health and /models: state, configuration, model packs, where networks run."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from face_service.schemas.thresholds import ThresholdOut
from face_service.serving.supervisor import Networks
from face_service.thresholds import OperatingPoints
from face_service.vision.alignment import Alignment
from face_service.vision.gate_policy import GateMode, GateState


class ProcessorOut(BaseModel):
    """The processor, and what its instruction sets mean for precision."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    class_name: str = Field(
        description="Class of processors with the same numerical results.",
        examples=["avx512-vnni-bf16", "avx2", "neon-dotprod"],
    )
    instruction_sets: list[str] = Field(
        description="Those that affect inference, under their Linux names; empty if unknown."
    )
    precision: dict[str, str] = Field(
        description="How bf16 and int8 are computed; empty if unknown.",
        examples=[{"bf16": "not here", "int8": "exact"}],
    )


class RuntimeOut(BaseModel):
    """Execution providers, and the placement of the nodes of each network."""

    asked: list[str] = Field(description="ONNX_PROVIDERS.")
    offered: list[str] = Field(description="Providers of the installed ONNX Runtime.")
    taken: list[str] = Field(description="Providers in use, best first.")
    placement: dict[str, dict[str, int]] = Field(
        description="By network and provider: number of nodes assigned to it.",
        examples=[{"det_10g.onnx": {"CUDAExecutionProvider": 151, "CPUExecutionProvider": 4}}],
    )
    warnings: list[str] = Field(
        description="Faults that do not prevent inference: two builds of ONNX Runtime installed "
        "at once, a DEVICE_ID without effect."
    )
    processor: ProcessorOut


class GateOut(BaseModel):
    """The detector gate: the detector in int8, run first; where it finds no face, the detector
    does not run."""

    model_config = ConfigDict(from_attributes=True)

    mode: GateMode = Field(description="DET_GATE.")
    state: GateState = Field(
        description="idle: on recent images it would cost more than it saves. building: it is "
        "being found or made. none: there is none."
    )
    detail: str | None = Field(description="How it was judged, or why there is none.")
    cost: float | None = Field(
        description="CPU time of a run as a share of the detector's; null where there is none."
    )
    empty: float | None = Field(
        description="Share of images without a face lately; null where there is no gate."
    )


class StatusResponse(BaseModel):
    """The state of the service, for probes of orchestrators."""

    status: Literal["alive", "healthy", "starting", "recovering", "failed", "draining"]


class HealthResponse(BaseModel):
    """State and configuration of the service."""

    status: Literal["healthy", "starting", "recovering", "failed", "draining"]
    version: str
    model: str
    onnx_providers: list[str]
    embedding_dimension: int | None
    detail: str | None = Field(description="Why the service has failed; null if it has not.")
    uptime_seconds: float
    threads: int | None = Field(description="Intra-op threads of ONNX Runtime.")
    recogniser: str | None = Field(description="SHA-256 of the recogniser's file.")
    precision: str | None
    alignment: Alignment | None = Field(description="ALIGNMENT: how faces are cut out.")
    progress: str | None = Field(
        description="While starting: what is being compiled, and how far it has come.",
        examples=["compiling det_10g.onnx 1×3×640×640, 3 of 8"],
    )
    fallback: str | None = Field(
        description="Why providers that are preferred to the one in use are not in use; null if "
        "there are none."
    )
    runtime: RuntimeOut | None
    gate: GateOut
    networks: Networks = Field(
        description="unloaded: let go after IDLE_UNLOAD_S without a request; the next one waits "
        "until they are loaded."
    )


class ModelFileOut(BaseModel):
    """One network of a pack."""

    role: str
    file: str
    sha256: str
    licence: str


class PackOut(BaseModel):
    """A model pack."""

    name: str
    licence: str
    embedding_dimension: int
    threshold: ThresholdOut
    operating_points: OperatingPoints | None = Field(
        description="Similarities, and how often each is reached; null if none were measured."
    )
    same_person_threshold: float | None = Field(
        deprecated=True, description="Now threshold.similarity. Guidance where it is not measured."
    )
    threshold_measured_on: str | None = Field(
        deprecated=True, description="Now threshold.measured_on."
    )
    false_match_rate: float | None = Field(
        deprecated=True, description="Now threshold.false_match_rate."
    )
    files: list[ModelFileOut]


class LoadedPackOut(PackOut):
    """The loaded pack."""

    precision: str
    fingerprint: str | None = Field(
        description="Of its embeddings of bundled photos, 64 hexadecimal digits: where at most 2 % "
        "of the bits differ, two installations share one space."
    )
    alignment: Alignment
    onnx_providers: list[str]
    fallback: str | None
    runtime: RuntimeOut


class ModelsResponse(BaseModel):
    """The loaded pack, null until it is loaded, and all packs known by name."""

    loaded: LoadedPackOut | None
    known: list[PackOut]
