"""`face-service detect --draw`: pictures with their faces drawn on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from face_service.cli.files import File, laid_out, read_file
from face_service.cli.videos import Source, VideoFrame, is_read_as_video
from face_service.config import Settings
from face_service.errors import FaceServiceError, RequestError
from face_service.face_engine import Face
from face_service.serving.answers import ImageAnalysis
from face_service.vision.blob import Image
from face_service.vision.draw import draw_face
from face_service.vision.image import decode


def drawing_paths(out: Path, files: Sequence[File]) -> dict[Path, Path]:
    """Where the drawing of each file goes: `out` itself for a single image, else a folder
    laid out as the one the files are in.

    Raises FaceServiceError if two of them would be the same, or one of them is the image.
    """
    if len(files) == 1 and files[0].named and not (out.is_dir() or is_read_as_video(files[0])):
        if out.resolve() == files[0].path.resolve():
            raise FaceServiceError(f"--draw: {out} is one of the images")
        return {files[0].path: out}
    return laid_out("--draw", out, files)


def draw(source: Source, path: Path, found: ImageAnalysis, settings: Settings) -> None:
    """Write the image with its faces on it; the format is that of the path's suffix. Raises
    FaceServiceError where that cannot be done, RequestError where it cannot be read any more."""
    drawing = pixels_of(source, settings).copy()
    for face in reversed(found.faces):
        draw_face(drawing, face.bbox, face.landmarks, label(face))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(path), drawing)
    except cv2.error as error:
        raise FaceServiceError(f"--draw {path}: not a name of an image file") from error
    except OSError as error:
        raise FaceServiceError(f"--draw {path}: {error.strerror or error}") from error
    if not written:
        raise FaceServiceError(f"--draw {path}: cannot be written")


def pixels_of(source: Source, settings: Settings) -> Image:
    """What was looked at. Raises RequestError."""
    if isinstance(source, VideoFrame):
        if isinstance(source.image, RequestError):
            raise source.image
        return source.image
    data = read_file(source, settings.max_body_bytes) or b""
    return decode(data, settings.max_image_pixels)


def label(face: Face) -> str:
    """What is written above a face."""
    return f"{face.gender} {face.age}" if face.gender else f"{face.score:.2f}"
