"""Every error this service raises on purpose.

FaceServiceError
├── StartupError            the service cannot start; `main` prints it and exits
│   ├── PackError           a model pack cannot be had, or is not what it says
│   └── ProviderError       an execution provider was asked for and cannot be used
└── RequestError            a request cannot be answered; an error knows its status and its code
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
    └── DeadlinePassed      504

Errors are raised where they are known and turned into HTTP in one place, `app.py`.
"""

from __future__ import annotations


class FaceServiceError(Exception):
    """Base of everything below. `str(error)` is a sentence a person can act on."""


class StartupError(FaceServiceError):
    """The service cannot start with this configuration on this machine."""


class PackError(StartupError):
    """A model pack is unknown, cannot be fetched, or does not match its hashes."""


class ProviderError(StartupError):
    """An ONNX Runtime execution provider was asked for and cannot be used."""


class RequestError(FaceServiceError):
    """A request that cannot be answered.

    `status` is the HTTP status, `code` a stable word for programs, `retry_after` the
    seconds after which the caller may try again (None: not worth trying again as is).
    """

    status = 500
    code = "internal_error"
    retry_after: int | None = None


class InvalidRequest(RequestError):
    """A parameter, header or body that does not mean what the endpoint needs."""

    status = 400
    code = "invalid_request"


class InvalidImage(InvalidRequest):
    """The bytes are not an image this service reads."""

    code = "invalid_image"


class DecodingStalled(InvalidImage):
    """A decoder was inside this image for STALL_TIMEOUT_S and has been replaced.

    An error of the image's and none that is tried again: the next decoder would hang in it, too.
    """


class Unauthorized(RequestError):
    """API keys are configured, and the request has none of them."""

    status = 401
    code = "unauthorized"


class ImageTooLarge(RequestError):
    """The body, or the picture it decodes to, is over the configured limit."""

    status = 413
    code = "too_large"


class Overloaded(RequestError):
    """As many requests are inside as may be."""

    status = 429
    code = "overloaded"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class InferenceFailed(RequestError):
    """The networks failed on a valid image."""

    status = 500
    code = "inference_failed"


class EngineLost(InferenceFailed):
    """The engine hung in the middle of this request and is being replaced."""

    retry_after = 2


class OutOfMemory(InferenceFailed):
    """The card's memory, or the machine's, is full, for half the batch as well."""

    status = 503
    code = "out_of_memory"
    retry_after = 5


class DeadlinePassed(RequestError):
    """REQUEST_TIMEOUT_S went by before there was an answer."""

    status = 504
    code = "deadline_passed"


class NotReady(RequestError):
    """The models are not loaded, or are loaded anew, or the process is about to end."""

    status = 503
    code = "not_ready"
    retry_after = 2
