"""POST /compare: the faces of two images, compared in pairs."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from face_service.errors import ImageTooLarge, InvalidImage, InvalidRequest, RequestError
from face_service.routes.admitted_route import AdmittedRoute
from face_service.routes.bodies import Upload, read_one_of_each, with_fields
from face_service.routes.deps import Record, Service, media_type
from face_service.routes.detect import ERRORS, FILE, form_body, record_results, serialise
from face_service.schemas import CompareOptions, CompareResponse
from face_service.serialization import render_comparison
from face_service.serving.answers import ImageAnalysis
from face_service.serving.comparison import compare

FIELDS = ("file_a", "file_b")
BODY = form_body(dict.fromkeys(FIELDS, FILE), CompareOptions)


async def get_two_files(request: Request) -> Upload:
    """The multipart fields `file_a` and `file_b`, in this order, and the options. Raises
    InvalidRequest if one is missing."""
    if media_type(request) != "multipart/form-data":
        raise InvalidRequest("Send the images as the multipart/form-data fields file_a and file_b")
    return await read_one_of_each(request, FIELDS)


router = APIRouter(tags=["faces"], responses=ERRORS, route_class=AdmittedRoute)


@router.post("/compare", response_model=CompareResponse, openapi_extra=BODY)
async def compare_images(
    service: Service,
    record: Record,
    options: Annotated[CompareOptions, Query()],
    upload: Annotated[Upload, Depends(get_two_files)],
) -> Response:
    """Compare every face of `file_a` with every face of `file_b`, at the pack's own threshold.

    `detail` is the verdict as a sentence. Pairs with a face that is not `usable` are not
    `reliable`.
    """
    started = time.perf_counter()
    options = with_fields(options, upload.options)
    _, files = zip(*upload.files, strict=True)
    info, answers = await service.analyse_many(files, options.for_engine(), record.times)
    a, b = (unwrap(answer, field) for answer, field in zip(answers, FIELDS, strict=True))
    found = await service.run_in_pool(compare, a.faces, b.faces, info, FIELDS)
    elapsed_ms = (time.perf_counter() - started) * 1e3
    record_results(record, [a, b])
    counts = f"{len(a.faces)} with {len(b.faces)} faces"
    record.set_message(__name__, f"Compared {counts} in {elapsed_ms:.2f}ms")
    return await serialise(
        service, record, render_comparison, (a, b), found, options, elapsed_ms, record.request_id
    )


def unwrap(answer: ImageAnalysis | RequestError, field: str) -> ImageAnalysis:
    """The analysis; an error is raised, InvalidImage and ImageTooLarge with `field` before their
    message."""
    if isinstance(answer, InvalidImage | ImageTooLarge):
        raise type(answer)(f"{field}: {answer}")
    if isinstance(answer, RequestError):
        raise answer
    return answer
