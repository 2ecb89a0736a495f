"""JSON whose memory is bounded before it is parsed."""

from __future__ import annotations

from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from face_service.errors import InvalidRequest
from face_service.schemas import explain

T = TypeVar("T")

BRACKETS = 8
"""Most arrays for each face that there may be; five landmarks are six."""


def refuse_excess(body: bytes, numbers: int, faces: int) -> None:
    """Raise InvalidRequest for JSON with more than `numbers` commas, objects for more than `faces`
    faces, or BRACKETS arrays for each. It is counted in the text, before it is parsed: a parsed
    value takes ten times the memory of its text."""
    if body.count(b",") > numbers or body.count(b"{") > faces + 1:
        raise InvalidRequest(
            f"The JSON holds more than {faces} faces, or more numbers than may be; embeddings take "
            "least as base64, or as float32 in a form"
        )
    if body.count(b"[") > BRACKETS * faces:
        raise InvalidRequest("The JSON holds far more arrays than the faces need")


def parsed(body: bytes) -> object:
    """The value of a JSON text. Raises InvalidRequest where it is not JSON."""
    try:
        return from_json(body)
    except ValueError as error:
        raise InvalidRequest(f"Invalid JSON: {error}") from error


def validated(kind: TypeAdapter[T], value: object, *at: str) -> T:
    """A value of JSON as the type of `kind`. at: the names under which it was sent, which begin the
    places in an error. Raises InvalidRequest: what is wrong, and where (`faces.0.bbox: …`)."""
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        found = [{**one, "loc": (*at, *one["loc"])} for one in error.errors(include_input=False)]
        raise InvalidRequest(explain(found)) from error
