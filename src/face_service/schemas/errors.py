"""The JSON of every error, and the sentences made of pydantic's errors of validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from face_service.vision.image import SUPPORTED

MAX_ERRORS = 10
"""Most errors of a request that are listed."""
MAX_NAME = 100
"""Most characters of a field's name that are repeated."""


class ErrorResponse(BaseModel):
    """The JSON of every error."""

    detail: str = Field(examples=[f"Invalid image format. {SUPPORTED}"])
    code: str = Field(examples=["invalid_image"])
    request_id: str


def explain(errors: Sequence[Any], skip: int = 0) -> str:
    """Errors of pydantic (`ValidationError.errors()`) as `NAME: MESSAGE; NAME: MESSAGE`.

    `skip`: number of leading parts of each location to leave out, such as `query` or `body`. Names
    are cut at MAX_NAME characters, the list at MAX_ERRORS.
    """
    sentences = [_sentence(error, skip) for error in errors[:MAX_ERRORS]]
    if len(errors) > MAX_ERRORS:
        sentences.append(f"and {len(errors) - MAX_ERRORS} more")
    return "; ".join(sentences)


def _sentence(error: Any, skip: int) -> str:
    where = ".".join(str(part)[:MAX_NAME] for part in error["loc"][skip:])
    message = error["msg"].removeprefix("Value error, ")  # of a validator of ours
    if error["type"] == "extra_forbidden":
        message = "is not a known option"
    return f"{where}: {message}" if where else str(message)
