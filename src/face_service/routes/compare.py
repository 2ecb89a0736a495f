"""POST /compare: two images in, who of one is who of the other out."""

from __future__ import annotations

import logging
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from face_service.comparison import compare
from face_service.errors import ImageTooLarge, InvalidImage, InvalidRequest, RequestError
from face_service.schemas import CompareOptions, CompareResponse
from face_service.serving.service import Analysis
from face_service.stages import StageTimes

from .bodies import read_one_of_each
from .deps import RequestId, Service, media_type
from .detect import ERRORS, FILE, form_body
from .guard import GuardedRoute
from .rendering import render_comparison

logger = logging.getLogger(__name__)

FIELDS = ("file_a", "file_b")
BODY = form_body(dict.fromkeys(FIELDS, FILE))


async def get_two_files(request: Request) -> list[bytes]:
    """The multipart fields `file_a` and `file_b`. Raises InvalidRequest if one is missing."""
    if media_type(request) != "multipart/form-data":
        raise InvalidRequest("Send the images as the multipart/form-data fields file_a and file_b")
    return await read_one_of_each(request, FIELDS)


router = APIRouter(tags=["faces"], responses=ERRORS, route_class=GuardedRoute)


@router.post("/compare", response_model=CompareResponse, openapi_extra=BODY)
async def compare_images(
    service: Service,
    request_id: RequestId,
    options: Annotated[CompareOptions, Query()],
    files: Annotated[list[bytes], Depends(get_two_files)],
) -> Response:
    """Compare every face of `file_a` with every face of `file_b`, at the pack's own threshold.

    `detail` says the verdict in words. A face that is not fit to be compared is never the
    proof of anything: its pairs are not `reliable`.
    """
    started, times = time.perf_counter(), StageTimes()
    info, answers = await service.analyse_many(files, options.for_engine(), times)
    a, b = (of(answer, field) for answer, field in zip(answers, FIELDS, strict=True))
    found = await service.beside(compare, a.faces, b.faces, info, FIELDS)
    elapsed_ms = (time.perf_counter() - started) * 1e3
    service.metrics.observe(times, [len(a.faces), len(b.faces)])
    logger.info("Compared %d with %d faces in %.2fms", len(a.faces), len(b.faces), elapsed_ms)
    return render_comparison((a, b), found, options, times, elapsed_ms, request_id)


def of(answer: Analysis | RequestError, field: str) -> Analysis:
    """The analysis of a file. Raises what is wrong with it, and says which file that is."""
    if isinstance(answer, InvalidImage | ImageTooLarge):
        raise type(answer)(f"{field}: {answer}")
    if isinstance(answer, RequestError):
        raise answer
    return answer
