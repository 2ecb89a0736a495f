"""Requests and responses in JSON, as pydantic models: the OpenAPI document is made of them."""

from face_service.schemas.errors import (
    MAX_ERRORS,
    MAX_NAME,
    ErrorResponse,
    explain,
)
from face_service.schemas.options import (
    CompareOptions,
    DetectOptions,
    EmbeddingFormat,
    EmbeddingRequest,
)
from face_service.schemas.results import (
    BatchResponse,
    ComparedImage,
    ComparedPair,
    CompareResponse,
    DetectResponse,
    FaceOut,
    FacesOmitted,
    FileResult,
    ModelUsed,
    Point,
    PoseOut,
    QualityOut,
)
from face_service.schemas.status import (
    GateOut,
    HealthResponse,
    LoadedPackOut,
    ModelFileOut,
    ModelsResponse,
    PackOut,
    ProcessorOut,
    RuntimeOut,
    StatusResponse,
)
from face_service.schemas.thresholds import ThresholdOut, threshold_fields

__all__ = [
    "MAX_ERRORS",
    "MAX_NAME",
    "BatchResponse",
    "CompareOptions",
    "CompareResponse",
    "ComparedImage",
    "ComparedPair",
    "DetectOptions",
    "DetectResponse",
    "EmbeddingFormat",
    "EmbeddingRequest",
    "ErrorResponse",
    "FaceOut",
    "FacesOmitted",
    "FileResult",
    "GateOut",
    "HealthResponse",
    "LoadedPackOut",
    "ModelFileOut",
    "ModelUsed",
    "ModelsResponse",
    "PackOut",
    "Point",
    "PoseOut",
    "ProcessorOut",
    "QualityOut",
    "RuntimeOut",
    "StatusResponse",
    "ThresholdOut",
    "explain",
    "threshold_fields",
]
