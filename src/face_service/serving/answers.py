"""Result of one image: an ImageAnalysis, or the RequestError its caller gets."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from face_service.engine_info import EngineInfo
from face_service.errors import InferenceFailed, OutOfMemory, RequestError
from face_service.face_engine import Face, PreparedImage
from face_service.runtime.memory import is_out_of_memory
from face_service.vision.closer import Coverage
from face_service.vision.image import NO_MEMORY

from .decoded import CheckedPicture
from .queue import ImageResult

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ImageAnalysis:
    """The faces of one image, its size in pixels, and what found them.

    faces_omitted: how many faces were left out because of MAX_FACES. coverage: how closely it was
    looked at; None where its faces were known.
    """

    info: EngineInfo
    faces: list[Face]
    width: int
    height: int
    faces_omitted: int = 0
    coverage: Coverage | None = None


Answer = ImageAnalysis | RequestError


@dataclass(slots=True)
class Part:
    """Images of a request that are decoded and computed together. places: their indices in the
    request. size: bytes that decoding them takes, with what the detector is shown."""

    places: list[int]
    size: int


def parts(
    images: Mapping[int, CheckedPicture], overhead: int, max_images: int, max_size: int
) -> list[Part]:
    """Divide images, by their places in the request, into as few parts as possible, in order.

    A part has at most `max_images` images and `max_size` bytes, more only where one image takes
    them. An image takes its `decoded_bytes` and `overhead` bytes.
    """
    found: list[Part] = []
    for place, image in images.items():
        size = image.decoded_bytes + overhead
        last = found[-1] if found else None
        if last and len(last.places) < max_images and last.size + size <= max_size:
            last.places.append(place)
            last.size += size
        else:
            found.append(Part([place], size))
    return found


def as_answer(image: PreparedImage, result: ImageResult) -> Answer:
    """The answer for an image, from its result."""
    if isinstance(result, Exception):
        return as_request_error(result)
    height, width = image.image.shape[:2]
    return ImageAnalysis(result.info, result.faces, width, height, result.omitted, result.coverage)


def as_request_error(error: object) -> RequestError:
    """The error for the caller: a RequestError as it is, OutOfMemory where memory has run out, else
    InferenceFailed. An internal cause is logged, not returned."""
    if isinstance(error, InferenceFailed):
        logger.error("%s", error)
    if isinstance(error, RequestError):
        return error
    if isinstance(error, Exception) and is_out_of_memory(error):
        logger.error("%s", error)
        return OutOfMemory(NO_MEMORY)
    logger.error("Inference failed", exc_info=error if isinstance(error, Exception) else None)
    return InferenceFailed("Inference failed, try again later")
