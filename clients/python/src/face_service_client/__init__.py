"""A client of the face service: every face of an image, with its embedding as a NumPy array.

from face_service_client import Client, similarity

with Client("http://localhost:8100") as client:
    faces = client.detect("frame.jpg", max_faces=1).faces
"""

from .async_client import AsyncClient
from .calls import GroupOptions, KnownFace, Options
from .client import Client
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
from .groups import Embedded, EmbeddedFace, Group, Grouping, GroupThresholds, Track
from .images import AsyncImage, Image
from .many import Attempted
from .results import (
    Batch,
    Comparison,
    Coverage,
    Detection,
    Face,
    FileResult,
    ModelUsed,
    Pair,
    Picture,
    Pose,
    Quality,
    Reason,
    Threshold,
    Verdict,
    from_vector,
    similarity,
    to_vector,
)
from .retry import Retry
from .status import (
    Gate,
    Health,
    IdentificationPoint,
    Models,
    OperatingPoints,
    Pack,
    PackFile,
    Processor,
    Runtime,
    VerificationPoint,
)

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "AsyncImage",
    "Attempted",
    "Batch",
    "Client",
    "Comparison",
    "ConnectionFailed",
    "Coverage",
    "DeadlinePassed",
    "Detection",
    "Embedded",
    "EmbeddedFace",
    "ErrorAnswer",
    "Face",
    "FaceServiceError",
    "FileResult",
    "Gate",
    "Group",
    "GroupOptions",
    "GroupThresholds",
    "Grouping",
    "Health",
    "IdentificationPoint",
    "Image",
    "InferenceFailed",
    "InvalidImage",
    "InvalidRequest",
    "KnownFace",
    "ModelUsed",
    "Models",
    "NoAnswer",
    "NotReady",
    "OperatingPoints",
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
    "Track",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Verdict",
    "VerificationPoint",
    "from_vector",
    "similarity",
    "to_vector",
]
