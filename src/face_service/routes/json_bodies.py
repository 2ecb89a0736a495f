"""JSON whose memory is bounded before it is parsed."""

from __future__ import annotations

from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from face_service.errors import InvalidRequest
from face_service.schemas import explain

T = TypeVar("T")

BRACKETS = 8
"""Arrays that a face needs at most: its landmarks are six."""


def refuse_excess(body: bytes, numbers: int, faces: int) -> None:
    """Raise InvalidRequest for JSON of far more parts than so many numbers and faces need: each
    takes ten times the memory of its text."""
    if body.count(b",") > numbers or body.count(b"{") > faces + 1:
        raise InvalidRequest(
            f"The JSON holds more than {faces} faces, or more numbers than may be; embeddings take "
            "least as base64, or as float32 in a form"
        )
    if body.count(b"[") > BRACKETS * faces:
        raise InvalidRequest("The JSON holds far more arrays than the faces need")


def parsed(body: bytes) -> object:
    """The value of a JSON text. Raises InvalidRequest."""
    try:
        return from_json(body)
    except ValueError as error:
        raise InvalidRequest(f"Invalid JSON: {error}") from error


def validated(kind: TypeAdapter[T], value: object, *at: str) -> T:
    """A value of JSON as what `kind` describes. at: the names under which it was sent. Raises
    InvalidRequest, which says where in it what is wrong: `faces.0.bbox: …`."""
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        found = [{**one, "loc": (*at, *one["loc"])} for one in error.errors(include_input=False)]
        raise InvalidRequest(explain(found)) from error
