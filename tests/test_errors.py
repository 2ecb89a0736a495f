"""Errors: every class has its place in the list, one status and one code, and one JSON."""

from __future__ import annotations

import json
import re
from http import HTTPStatus

import pytest

from face_service import errors
from face_service.errors import HttpError, InvalidImage, Overloaded, RequestError
from face_service.http.errors import error_response, raw_error_response
from face_service.observability.request_record import RequestRecord
from face_service.schemas import ErrorResponse

LISTED = re.compile(r"── (\w+) +(\d{3})$", re.MULTILINE)


def kinds(base: type[RequestError] = RequestError) -> list[type[RequestError]]:
    """All classes of errors below `base` with a status of their own."""
    below = [each for kind in base.__subclasses__() for each in (kind, *kinds(kind))]
    return [kind for kind in below if kind is not HttpError]


def test_the_list_in_the_module_is_the_classes() -> None:
    listed = {name: int(status) for name, status in LISTED.findall(errors.__doc__ or "")}
    assert listed == {kind.__name__: kind.status for kind in kinds()}


def test_a_code_has_one_status() -> None:
    found: dict[str, set[int]] = {}
    for kind in [RequestError, *kinds()]:
        found.setdefault(kind.code, set()).add(kind.status)
    assert all(len(statuses) == 1 for statuses in found.values()), found


@pytest.mark.parametrize("status", [400, 404, 405, 413, 431, 500])
def test_an_error_of_http_has_its_name_as_code(status: int) -> None:
    error = HttpError(status, "detail")
    words = re.findall(r"[a-z]+", HTTPStatus(status).phrase.lower())
    assert (error.status, error.code) == (status, "_".join(words))


@pytest.mark.parametrize(
    "error",
    [InvalidImage("é"), Overloaded("later", 7), HttpError(431, "The headers are too large")],
    ids=lambda error: error.code,
)
def test_a_response_is_the_same_from_the_application_and_from_the_protocol(
    error: RequestError,
) -> None:
    record = RequestRecord("id", "GET")
    response = error_response({"state": {"request_id": "id", "record": record}}, error)
    head, _, body = raw_error_response(error, "id").partition(b"\r\n\r\n")
    assert body == response.body
    assert f"HTTP/1.1 {error.status} ".encode() in head
    assert f"content-length: {len(body)}".encode() in head
    content = json.loads(body)
    assert content == {"detail": str(error), "code": error.code, "request_id": "id"}
    assert set(content) == set(ErrorResponse.model_fields)
    assert record.code == error.code
    retry = str(error.retry_after) if error.retry_after else None
    assert response.headers.get("retry-after") == retry
