"""Responses of /health and /models: state, configuration, model packs, where networks run."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ProcessorOut(BaseModel):
    """The processor, and what its instruction sets mean for precision."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    class_name: str = Field(
        description="One word for processors that compute alike.",
        examples=["avx512-vnni-bf16", "avx2", "neon-dotprod"],
    )
    instruction_sets: list[str] = Field(
        description="Those that decide how networks are computed, as Linux calls them; empty "
        "where the system does not list them."
    )
    precision: dict[str, str] = Field(
        description="How bf16 and int8 are computed; empty where that is not known.",
        examples=[{"bf16": "not here", "int8": "exact"}],
    )


class RuntimeOut(BaseModel):
    """What computes, and where each node of each network really runs."""

    asked: list[str] = Field(description="What ONNX_PROVIDERS says.")
    offered: list[str] = Field(description="What the installed ONNX Runtime was built with.")
    taken: list[str] = Field(description="What computes, best first.")
    placement: dict[str, dict[str, int]] = Field(
        description="By network and provider: how many nodes ONNX Runtime gave it.",
        examples=[{"det_10g.onnx": {"CUDAExecutionProvider": 151, "CPUExecutionProvider": 4}}],
    )
    warnings: list[str] = Field(
        description="What is not as it was asked for, or as it should be, though it computes: two "
        "builds of ONNX Runtime at once, a DEVICE_ID that has no effect."
    )
    processor: ProcessorOut


class StatusResponse(BaseModel):
    """One word, for orchestrators."""

    status: Literal["alive", "healthy", "starting", "recovering", "failed", "draining"]


class HealthResponse(BaseModel):
    """Whether faces can be had here, and what would compute them."""

    status: Literal["healthy", "starting", "recovering", "failed", "draining"]
    version: str
    model: str
    onnx_providers: list[str]
    embedding_dimension: int | None
    detail: str | None = Field(description="What went wrong, where something did.")
    uptime_seconds: float
    threads: int | None = Field(description="Intra-op threads of ONNX Runtime.")
    recogniser: str | None = Field(description="SHA-256 of the recogniser's file.")
    precision: str | None
    progress: str | None = Field(
        description="While starting: what is compiled, and how many of how many.",
        examples=["compiling det_10g.onnx 1×3×640×640, 3 of 8"],
    )
    fallback: str | None = Field(
        description="Why the provider that was asked for does not compute, where it does not."
    )
    runtime: RuntimeOut | None


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
    same_person_threshold: float | None = Field(
        description="Cosine similarity from which two faces are taken for one person."
    )
    threshold_measured_on: str | None = Field(
        description="Null where the threshold is usual guidance that nobody has measured."
    )
    false_match_rate: float | None = Field(
        description="Share of pairs of two people that reach the threshold; null: not known."
    )
    files: list[ModelFileOut]


class LoadedPackOut(PackOut):
    """The pack that answers requests."""

    precision: str
    onnx_providers: list[str]
    fallback: str | None
    runtime: RuntimeOut


class ModelsResponse(BaseModel):
    """The pack that is loaded (null until it is) and those known by name."""

    loaded: LoadedPackOut | None
    known: list[PackOut]
