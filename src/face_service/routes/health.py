"""GET /health (state and configuration), /health/live (liveness) and /health/ready (readiness)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from face_service import __version__
from face_service.routes.deps import Configured, Service
from face_service.routes.models import runtime_of
from face_service.schemas import GateOut, HealthResponse, StatusResponse

router = APIRouter(tags=["health"])
UNWELL = "Starting, recovering, draining, or failed"
NOT_HEALTHY: dict[int | str, dict[str, Any]] = {
    503: {"model": HealthResponse, "description": UNWELL}
}
NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": StatusResponse, "description": UNWELL}}


@router.get("/health", responses=NOT_HEALTHY)
async def health(service: Service, settings: Configured, response: Response) -> HealthResponse:
    """Status and configuration; 503 with a `status` other than `healthy` until it can answer."""
    if service.status != "healthy":
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    info = service.info
    return HealthResponse(
        status=service.status,
        version=__version__,
        model=info.pack if info else settings.insightface_model,
        onnx_providers=list(info.providers if info else settings.onnx_providers),
        embedding_dimension=info.dimension if info else None,
        detail=str(service.failure) if service.failure else None,
        uptime_seconds=round(service.uptime, 1),
        threads=info.threads if info else None,
        recogniser=info.recogniser_sha256 if info else None,
        precision=info.precision if info else None,
        alignment=info.alignment if info else None,
        progress=service.progress if service.status == "starting" else None,
        fallback=service.fallback if info else None,
        runtime=runtime_of(info) if info else None,
        gate=GateOut.model_validate(service.gate),
        networks=service.networks,
    )


@router.get("/health/live")
async def live() -> StatusResponse:
    """The process runs. Touches no model and no queue."""
    return StatusResponse(status="alive")


@router.get("/health/ready", responses=NOT_READY)
async def ready(service: Service, response: Response) -> StatusResponse:
    """200 once the models are warm, 503 before that and while draining."""
    if service.status != "healthy":
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    return StatusResponse(status=service.status)
