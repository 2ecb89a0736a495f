"""A client of the face service: every face of an image, with its embedding as a NumPy array.

from face_service_client import Client, similarity

with Client("http://localhost:8100") as client:
    faces = client.detect("frame.jpg", max_faces=1).faces
"""

from .calls import Options
from .client import AsyncClient, Client
from .errors import (
    ConnectionFailed,
    DeadlinePassed,
    ErrorAnswer,
    FaceServiceError,
    InferenceFailed,
    InvalidImage,
    InvalidRequest,
    NoAnswer,
    NotReady,
    Overloaded,
    Refused,
    TimedOut,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
)
from .images import AsyncImage, Image
from .results import (
    Batch,
    Comparison,
    Detection,
    Face,
    FileResult,
    Health,
    Models,
    ModelUsed,
    Pack,
    PackFile,
    Pair,
    Picture,
    Pose,
    Processor,
    Quality,
    Reason,
    Runtime,
    Threshold,
    Verdict,
    similarity,
)
from .retry import Retry

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "AsyncImage",
    "Batch",
    "Client",
    "Comparison",
    "ConnectionFailed",
    "DeadlinePassed",
    "Detection",
    "ErrorAnswer",
    "Face",
    "FaceServiceError",
    "FileResult",
    "Health",
    "Image",
    "InferenceFailed",
    "InvalidImage",
    "InvalidRequest",
    "ModelUsed",
    "Models",
    "NoAnswer",
    "NotReady",
    "Options",
    "Overloaded",
    "Pack",
    "PackFile",
    "Pair",
    "Picture",
    "Pose",
    "Processor",
    "Quality",
    "Reason",
    "Refused",
    "Retry",
    "Runtime",
    "Threshold",
    "TimedOut",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Verdict",
    "similarity",
]
