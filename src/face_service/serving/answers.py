"""What becomes of an image: the faces in it, or what its caller is told instead."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from face_service.errors import InferenceFailed, OutOfMemory, RequestError
from face_service.face_engine import EngineInfo, Face
from face_service.runtime.memory import is_out_of_memory
from face_service.vision.image import NO_MEMORY, Checked

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Analysis:
    """The faces of one image, its size in pixels, and what found them."""

    info: EngineInfo
    faces: list[Face]
    width: int
    height: int


Answer = Analysis | RequestError


def groups(images: Mapping[int, Checked], size: int) -> list[list[int]]:
    """The places of images in order, in as few groups as can be that fit into `size` bytes while
    they are decoded. One that takes more is a group of its own."""
    found: list[list[int]] = []
    room = 0
    for place, image in images.items():
        if not found or image.decoded_bytes > room:
            found.append([])
            room = size
        found[-1].append(place)
        room -= image.decoded_bytes
    return found


def as_request_error(error: object) -> RequestError:
    """What a caller is told; what he is not told goes to the log."""
    if isinstance(error, InferenceFailed):
        logger.error("%s", error)
    if isinstance(error, RequestError):
        return error
    if isinstance(error, Exception) and is_out_of_memory(error):
        logger.error("%s", error)
        return OutOfMemory(NO_MEMORY)
    logger.error("Inference failed", exc_info=error if isinstance(error, Exception) else None)
    return InferenceFailed("Inference failed, try again later")
