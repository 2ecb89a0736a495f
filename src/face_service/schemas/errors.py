"""Errors: their JSON, and pydantic's as sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

MAX_ERRORS = 10
MAX_NAME = 100
"""Characters of a name."""


class ErrorResponse(BaseModel):
    """The one shape of every error."""

    detail: str = Field(examples=["Invalid image format. Supported: JPEG, PNG, WebP, BMP, TIFF"])
    code: str = Field(examples=["invalid_image"])
    request_id: str


def explain(errors: Sequence[Any], skip: int = 0) -> str:
    """pydantic's errors in words: where, and what is wrong there.

    `skip`: leading parts of the place that a caller does not know, as `query` or `body`. What was
    sent does not come back whole: names are cut at MAX_NAME, errors at MAX_ERRORS.
    """
    sentences = [_sentence(error, skip) for error in errors[:MAX_ERRORS]]
    if len(errors) > MAX_ERRORS:
        sentences.append(f"and {len(errors) - MAX_ERRORS} more")
    return "; ".join(sentences)


def _sentence(error: Any, skip: int) -> str:
    where = ".".join(str(part)[:MAX_NAME] for part in error["loc"][skip:])
    message = "is not a known option" if error["type"] == "extra_forbidden" else error["msg"]
    return f"{where}: {message}" if where else str(message)
