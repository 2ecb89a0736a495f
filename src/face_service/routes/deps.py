"""Dependencies of handlers: service, settings, record, options, uploaded images.

They are `async` although they do not wait: FastAPI runs plain functions in a thread pool
(tests/serving/test_event_loop.py).
"""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Query, Request

from face_service.config import Settings
from face_service.errors import InvalidRequest
from face_service.observability.request_record import RequestRecord
from face_service.routes.bodies import Upload, read_files
from face_service.schemas import DetectOptions
from face_service.serving.service import FaceService


async def get_settings(request: Request) -> Settings:
    """The settings of this application."""
    return cast(Settings, request.app.state.settings)


Configured = Annotated[Settings, Depends(get_settings)]


async def get_service(request: Request) -> FaceService:
    """The service of this application."""
    return cast(FaceService, request.app.state.service)


async def get_record(request: Request) -> RequestRecord:
    """The record of this request: its log line, metrics and trace."""
    return cast(RequestRecord, request.state.record)


def media_type(request: Request) -> str:
    """The Content-Type without its parameters, in lower case; empty if there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def get_image(request: Request) -> Upload:
    """The image: the multipart field `file`; or the whole body if its type is `image/*` or
    `application/octet-stream`, which has no file name and no options.

    Raises InvalidRequest for any other type, and for a form that `read_files` refuses.
    """
    content_type = media_type(request)
    if content_type == "multipart/form-data":
        return await read_files(request, "file", limit=1)
    if content_type.startswith("image/") or content_type == "application/octet-stream":
        return Upload([(None, await request.body())], {})
    raise InvalidRequest(
        "Send the image as the multipart/form-data field 'file', "
        "or as the body with an image/* Content-Type"
    )


async def get_files(request: Request, settings: Configured) -> Upload:
    """The images of the multipart field `files`, in order.

    Raises InvalidRequest for another type of body, and for a form that `read_files` refuses: with
    no file, or more than MAX_BATCH_FILES.
    """
    if media_type(request) != "multipart/form-data":
        raise InvalidRequest("Send the images as the multipart/form-data field 'files', repeated")
    return await read_files(request, "files", settings.max_batch_files)


Service = Annotated[FaceService, Depends(get_service)]
Record = Annotated[RequestRecord, Depends(get_record)]
UploadedImage = Annotated[Upload, Depends(get_image)]
UploadedFiles = Annotated[Upload, Depends(get_files)]
OptionsQuery = Annotated[DetectOptions, Query()]
