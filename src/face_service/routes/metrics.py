"""GET /metrics, in Prometheus' text format."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from face_service.routes.deps import Service

router = APIRouter(tags=["metrics"])


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(service: Service) -> Response:
    """Counters, histograms and gauges as Prometheus text."""
    return Response(service.metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})
