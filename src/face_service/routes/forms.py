"""Forms with files in several fields, and JSON in one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import Request
from pydantic import BaseModel
from starlette.datastructures import UploadFile

from face_service.errors import InvalidRequest
from face_service.routes.bodies import LONGEST_NAME, content, options_in, read_form

LONGEST_JSON = 32_000_000
"""Most bytes of JSON in a field that is not a file; MAX_BODY_MB bounds the whole form."""


@dataclass(frozen=True, slots=True)
class Form:
    """A parsed form. files: name, or None, and content of each file, by field. json: the field of
    JSON, where it is there. options: the others, as text."""

    files: Mapping[str, Sequence[tuple[str | None, bytes]]]
    json: bytes | None
    options: dict[str, str]


async def read_form_with_json(
    request: Request, files: Mapping[str, int], json: str, options: type[BaseModel]
) -> Form:
    """A form whose files are in fields of `files`, at most so many in each; whose field `json`, a
    text or a file, holds JSON, which is not parsed here; and whose other fields are options, by the
    names of the model `options`.

    Raises InvalidRequest for any other form.
    """
    async with read_form(request, sum(files.values()) + 1, LONGEST_JSON) as form:
        texts = form.getlist(json)
        if len(texts) > 1:
            raise InvalidRequest(f"{json}: is given twice")
        text = as_bytes(texts[0]) if texts else None
        rest = type(form)([pair for pair in form.multi_items() if pair[0] != json])
        given = options_in(rest, tuple(files), options.model_fields)
        found = {
            field: [
                (file.filename, content(file))
                for file in rest.getlist(field)
                if isinstance(file, UploadFile)
            ]
            for field in files
        }
    for field, most in files.items():
        if len(found[field]) > most:
            name = field[:LONGEST_NAME]
            raise InvalidRequest(f"{name}: {len(found[field])} files are more than {most}")
    return Form(found, text, given)


def as_bytes(field: UploadFile | str) -> bytes:
    """The content of a field, of a file or of text as UTF-8."""
    return content(field) if isinstance(field, UploadFile) else field.encode()
