"""`face-service detect --crops`: the aligned crop of each face as a file."""

from __future__ import annotations

from pathlib import Path

from face_service.errors import FaceServiceError
from face_service.serving.answers import ImageAnalysis


def write_crops(path: Path, found: ImageAnalysis) -> None:
    """Write the crops of an image, 112×112 JPEGs: for a `path` of a.jpg they are a-1.jpg, a-2.jpg
    and so on, numbered as the faces are; a face whose landmarks are degenerate has none.

    Raises FaceServiceError where that cannot be done.
    """
    for number, face in enumerate(found.faces, 1):
        if face.crop is None:
            continue
        one = path.with_stem(f"{path.stem}-{number}")
        try:
            one.parent.mkdir(parents=True, exist_ok=True)
            one.write_bytes(face.crop)
        except OSError as error:
            raise FaceServiceError(f"--crops {one}: {error.strerror or error}") from error
