"""POST /detect, POST /detect/batch and POST /extract-embedding: the faces of images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

from fastapi import APIRouter, Request, Response

from face_service.http.responses import ChunkedJson
from face_service.observability.request_record import RequestRecord
from face_service.routes.admitted_route import AdmittedRoute
from face_service.routes.bodies import parse_embedding_request, read_body, with_fields
from face_service.routes.deps import OptionsQuery, Record, Service, UploadedFiles, UploadedImage
from face_service.schemas import (
    BatchResponse,
    DetectOptions,
    DetectResponse,
    EmbeddingRequest,
    ErrorResponse,
)
from face_service.serialization import render, render_batch
from face_service.serving.answers import ImageAnalysis
from face_service.serving.service import FaceService

P = ParamSpec("P")

ERRORS: dict[int | str, dict[str, Any]] = {
    400: {
        "model": ErrorResponse,
        "description": "Not an image, or a bad parameter: skip it",
    },
    413: {
        "model": ErrorResponse,
        "description": "Over the limit of bytes or of pixels: skip it",
    },
    500: {
        "model": ErrorResponse,
        "description": "Inference failed: retry with backoff",
    },
    429: {
        "model": ErrorResponse,
        "description": "The queue is full: retry after the seconds in Retry-After",
    },
    503: {
        "model": ErrorResponse,
        "description": "Starting, recovering or draining: retry elsewhere",
    },
    504: {
        "model": ErrorResponse,
        "description": "No answer within REQUEST_TIMEOUT_S: retry",
    },
}
"""Errors of the endpoints that compute, by status, for the OpenAPI document."""
SERIALISED_AT_ONCE = 64
"""Most faces whose JSON is made on the event loop: it takes 3 ms for 64 and 24 ms for 512 faces, on
one core of class avx512-vnni-bf16-amx."""
FILE = {"type": "string", "format": "binary"}


def form_body(
    files: dict[str, dict[str, Any]], options: type[DetectOptions] = DetectOptions
) -> dict[str, Any]:
    """The OpenAPI description of a multipart body: `files`, schemas by field, and `options`."""
    fields = {**files, **options.model_json_schema()["properties"]}
    form = {
        "type": "object",
        "required": list(files),
        "properties": fields,
        "additionalProperties": False,
    }
    content = {"multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


IMAGE_BODY = form_body({"file": FILE})
IMAGE_BODY["requestBody"]["content"]["image/*"] = {"schema": FILE}
JSON_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": EmbeddingRequest.model_json_schema()}},
    }
}
FILES_BODY = form_body({"files": {"type": "array", "items": FILE, "minItems": 1}})

router = APIRouter(tags=["faces"], responses=ERRORS, route_class=AdmittedRoute)


@router.post("/detect", response_model=DetectResponse, openapi_extra=IMAGE_BODY)
async def detect(
    service: Service, record: Record, options: OptionsQuery, upload: UploadedImage
) -> Response:
    """Detect every face of an uploaded image and embed it.

    Options are query parameters or fields of the form.
    """
    ((_, image),) = upload.files
    return await answer(service, image, with_fields(options, upload.options), record)


@router.post("/detect/batch", response_model=BatchResponse, openapi_extra=FILES_BODY)
async def detect_batch(
    service: Service, record: Record, options: OptionsQuery, upload: UploadedFiles
) -> Response:
    """Detect the faces of several images at once, the form's repeated field `files`.

    `results` has one entry for each file, in order. A file that is no image has an error there,
    and the others are answered all the same.
    """
    started = time.perf_counter()
    options = with_fields(options, upload.options)
    names, images = zip(*upload.files, strict=True)
    info, answers = await service.analyse_many(images, options.for_engine(), record.times)
    elapsed_ms = (time.perf_counter() - started) * 1e3
    record_results(record, [one for one in answers if isinstance(one, ImageAnalysis)])
    found = f"{sum(record.faces)} faces in {len(images)} images"
    record.set_message(__name__, f"Detected {found} in {elapsed_ms:.2f}ms")
    return await serialise(
        service, record, render_batch, info, names, answers, options, elapsed_ms, record.request_id
    )


@router.post("/extract-embedding", response_model=DetectResponse, openapi_extra=JSON_BODY)
async def extract_embedding(
    service: Service, record: Record, options: OptionsQuery, request: Request
) -> Response:
    """Detect every face of an image that is already in memory, as base64 in JSON.

    An option in the body wins over the query parameter of its name.
    """
    # No reference to body or text is kept while the image waits in the queue.
    given, image = await service.run_in_pool(parse_embedding_request, await read_body(request))
    return await answer(service, image, options.model_copy(update=given), record)


async def answer(
    service: FaceService, image: bytes, options: DetectOptions, record: RequestRecord
) -> Response:
    """The response with the faces of `image`, the bytes of an image file. Fills in `record`. Raises
    RequestError: see errors.py for its kinds."""
    started = time.perf_counter()
    analysis = await service.analyse(image, options.for_engine(), record.times)
    elapsed_ms = (time.perf_counter() - started) * 1e3
    record_results(record, [analysis])
    record.set_message(__name__, f"Detected {len(analysis.faces)} faces in {elapsed_ms:.2f}ms")
    return await serialise(
        service, record, render, analysis, options, elapsed_ms, record.request_id
    )


async def serialise(
    service: FaceService,
    record: RequestRecord,
    render_json: Callable[P, list[bytes]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Response:
    """The response with the JSON that `render_json(*args, **kwargs)` returns in chunks, timed as
    the stage `serialise`: on the event loop up to SERIALISED_AT_ONCE faces in the record, above
    that in the decode pool."""

    def measured() -> Response:
        with record.times.measure("serialise"):
            return ChunkedJson(render_json(*args, **kwargs))

    if sum(record.faces) <= SERIALISED_AT_ONCE:
        return measured()
    return await service.run_in_pool(measured)


def record_results(record: RequestRecord, analyses: Sequence[ImageAnalysis]) -> None:
    """Add pack, number of faces and size of each image to the request's record."""
    for analysis in analyses:
        record.pack = analysis.info.pack
        record.faces.append(len(analysis.faces))
        record.sizes.append((analysis.width, analysis.height))
