"""Every error this service raises on purpose, with its HTTP status, its code and its JSON.

FaceServiceError
├── StartupError            the service cannot start; `main` prints it and exits
│   ├── PackError           a model pack is unknown, unavailable or does not match its hashes
│   └── ProviderError       an execution provider of ONNX_PROVIDERS cannot be used
└── RequestError            a request cannot be answered; has an HTTP status and a code
    ├── InvalidRequest      400
    │   └── InvalidImage    400
    │       └── DecodingStalled 400
    ├── Unauthorized        401
    ├── ImageTooLarge       413
    ├── Overloaded          429
    ├── InferenceFailed     500
    │   ├── EngineLost      500
    │   └── OutOfMemory     503
    ├── NotReady            503
    ├── DeadlinePassed      504
    └── HttpError           any: errors of HTTP itself, such as 404, 405 and 431

`http/errors.py` turns them into responses.
"""

from __future__ import annotations

from http import HTTPStatus


class FaceServiceError(Exception):
    """Base of everything below. `str(error)` is a sentence for people."""


class StartupError(FaceServiceError):
    """The service cannot start with this configuration on this machine."""


class PackError(StartupError):
    """A model pack is unknown, cannot be downloaded, or does not match its SHA-256 hashes."""


class ProviderError(StartupError):
    """An ONNX Runtime execution provider of ONNX_PROVIDERS cannot be used."""


class RequestError(FaceServiceError):
    """A request that cannot be answered.

    `status`: HTTP status. `code`: stable identifier for programs. `retry_after`: seconds after
    which the same request may succeed, the header Retry-After; None: it is not known when.
    """

    status = 500
    code = "internal_error"
    retry_after: int | None = None

    def fields(self) -> dict[str, str]:
        """`detail` and `code`, as in every JSON of an error."""
        return {"detail": str(self), "code": self.code}

    def body(self, request_id: str) -> dict[str, str]:
        """The JSON of every error over HTTP: `detail`, `code` and `request_id`."""
        return {**self.fields(), "request_id": request_id}


class HttpError(RequestError):
    """An error that HTTP defines: `status` from 400 to 599, `code` its name in snake case."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = HTTPStatus(status).phrase.lower().replace(" ", "_")


class InvalidRequest(RequestError):
    """A parameter, header or body is missing, malformed or out of its bounds."""

    status = 400
    code = "invalid_request"


class InvalidImage(InvalidRequest):
    """The bytes are not a whole image of a supported format, or an aligned crop of a wrong size."""

    code = "invalid_image"


class DecodingStalled(InvalidImage):
    """Decoding this image took longer than STALL_TIMEOUT_S; its decoder thread was replaced.

    An error of the image, not retryable: it would block the next decoder as well.
    """


class Unauthorized(RequestError):
    """API_KEYS is set and the request carries none of the keys."""

    status = 401
    code = "unauthorized"


class ImageTooLarge(RequestError):
    """The body is over MAX_BODY_MB, the image over MAX_IMAGE_PIXELS, or the memory that decoding it
    takes over its limit (vision/image.py)."""

    status = 413
    code = "too_large"


class Overloaded(RequestError):
    """MAX_QUEUE requests, or MAX_BODIES_MB of bodies and answers, are there already; or another
    request needed the place of this one, which was uploaded slowly."""

    status = 429
    code = "overloaded"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class InferenceFailed(RequestError):
    """Inference failed on a valid image."""

    status = 500
    code = "inference_failed"


class EngineLost(InferenceFailed):
    """The engine stalled or broke during this request and is being replaced."""

    retry_after = 2


class OutOfMemory(InferenceFailed):
    """The memory of the card or machine did not suffice; a network's batch was halved first."""

    status = 503
    code = "out_of_memory"
    retry_after = 5


class DeadlinePassed(RequestError):
    """The request took longer than REQUEST_TIMEOUT_S."""

    status = 504
    code = "deadline_passed"


class NotReady(RequestError):
    """The models are being loaded or reloaded, or the process is draining before it ends."""

    status = 503
    code = "not_ready"
    retry_after = 2
