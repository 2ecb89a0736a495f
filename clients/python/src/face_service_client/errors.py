"""Every error that this client raises on purpose, but for ValueError and TypeError of arguments.

FaceServiceError
├── NoAnswer                no answer came; tried again as long as `Retry` and the deadline allow
│   ├── ConnectionFailed    no connection, or it broke on the way
│   └── TimedOut            nothing for `timeout` seconds, or `deadline` passed
├── UnexpectedAnswer        an answer that is not this service's: a wrong address, a proxy's page
└── ErrorAnswer             the service answered with an error
    ├── Refused             4xx: would be refused again, and is never tried again
    │   ├── InvalidRequest  400
    │   │   └── InvalidImage    400, code `invalid_image`: skip this picture
    │   ├── Unauthorized    401
    │   └── TooLarge        413
    └── Unavailable         429 and 5xx: 429, 500, 502, 503 and 504 are tried again, as NoAnswer is
        ├── Overloaded      429
        ├── InferenceFailed 500
        ├── NotReady        503
        └── DeadlinePassed  504

Errors of the caller's own images stay what they are: a missing file is a FileNotFoundError.
"""

from __future__ import annotations


class FaceServiceError(Exception):
    """Base of every error of this client.

    detail: a sentence a person can act on. status: the HTTP status, None where no answer came.
    code: a stable word for programs; `no_answer` where none came. request_id: the id in the
    service's log. attempts: how often the request was sent. note: why it was not tried again, where
    it might have been; else empty.
    """

    def __init__(
        self,
        detail: str,
        status: int | None = None,
        code: str = "no_answer",
        request_id: str = "",
        attempts: int = 1,
        note: str = "",
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.code = code
        self.request_id = request_id
        self.attempts = attempts
        self.note = note

    def __str__(self) -> str:
        status = f"{self.status} {self.code}" if self.status else self.code
        sent = "sent once" if self.attempts == 1 else f"sent {self.attempts} times"
        note = f"; {self.note}" if self.note else ""
        return f"{self.detail} ({status}, request {self.request_id}, {sent}{note})"


class NoAnswer(FaceServiceError):
    """The service did not answer."""


class ConnectionFailed(NoAnswer):
    """No connection could be made, or it broke before the whole answer was here."""


class TimedOut(NoAnswer):
    """Nothing was heard for `timeout` seconds, or the call took longer than `deadline`."""


class UnexpectedAnswer(FaceServiceError):
    """The answer is not the face service's: a wrong address, or a page of a proxy."""


class ErrorAnswer(FaceServiceError):
    """The service answered with an error."""


class Refused(ErrorAnswer):
    """4xx but 429: the same request would be refused again."""


class InvalidRequest(Refused):
    """400: a parameter, header or body that does not mean what the endpoint needs."""


class InvalidImage(InvalidRequest):
    """400: not a picture the service reads. Skip it."""


class Unauthorized(Refused):
    """401: the service asks for an API key, and there was none or one that it does not accept."""


class TooLarge(Refused):
    """413: more bytes, or more pixels, than the service takes. Shrink it, or skip it."""


class Unavailable(ErrorAnswer):
    """429 or 5xx: the same request may succeed later, or elsewhere."""


class Overloaded(Unavailable):
    """429: the service's queue was full every time."""


class InferenceFailed(Unavailable):
    """500: the networks, or the service, failed on this request."""


class NotReady(Unavailable):
    """503: the service is starting, ending, or replacing an engine, or it is out of memory."""


class DeadlinePassed(Unavailable):
    """504: the request took the service longer than its REQUEST_TIMEOUT_S."""


BY_STATUS: dict[int, type[ErrorAnswer]] = {
    400: InvalidRequest,
    401: Unauthorized,
    413: TooLarge,
    429: Overloaded,
    500: InferenceFailed,
    503: NotReady,
    504: DeadlinePassed,
}


def error_type(status: int, code: str) -> type[ErrorAnswer]:
    """The class of the error for an answer with this HTTP status, 400 or above, and this code."""
    if code == "invalid_image":
        return InvalidImage
    return BY_STATUS.get(status) or (Refused if status < 500 else Unavailable)
