"""GET /models: the loaded model pack and the known ones."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Request

from face_service.engine_info import EngineInfo
from face_service.routes.deps import Service
from face_service.schemas import (
    LoadedPackOut,
    ModelFileOut,
    ModelsResponse,
    PackOut,
    ProcessorOut,
    RuntimeOut,
    threshold_fields,
)

router = APIRouter(tags=["models"])


@router.get("/models")
async def models(service: Service, request: Request) -> ModelsResponse:
    """The loaded pack and the known ones: files, hashes, licences, dimension, threshold."""
    return ModelsResponse(
        loaded=loaded_pack(service.info, service.fallback) if service.info else None,
        known=cast(list[PackOut], request.app.state.known_packs),
    )


def loaded_pack(info: EngineInfo, fallback: str | None) -> LoadedPackOut:
    """The loaded pack for GET /models. `fallback`: why another provider computes than the one that
    was asked for, in any worker (`WorkerPool.fallback`); None where that is not so."""
    return LoadedPackOut(
        name=info.pack,
        licence=info.licence,
        embedding_dimension=info.dimension,
        **threshold_fields(info.threshold, info.operating_points),
        files=[
            ModelFileOut(role=file.role, file=file.file, sha256=file.sha256, licence=file.licence)
            for file in info.files
        ],
        precision=info.precision,
        alignment=info.alignment,
        onnx_providers=list(info.providers),
        fallback=fallback,
        runtime=runtime_of(info),
    )


def runtime_of(info: EngineInfo) -> RuntimeOut:
    """Providers, placement and processor, for GET /models and GET /health."""
    return RuntimeOut(
        asked=list(info.asked),
        offered=list(info.offered),
        taken=list(info.providers),
        placement={file: dict(placement) for file, placement in info.placement.items()},
        warnings=list(info.warnings),
        processor=ProcessorOut.model_validate(info.processor),
    )
