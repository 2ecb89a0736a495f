"""The frames that are made where no images are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from face_service.errors import FaceServiceError
from face_service.face_engine import FaceEngine
from face_service.tools.bench import frames
from face_service.vision.image import decode


def test_frames_hold_the_photos_they_are_asked_for(engine: FaceEngine, shared: Path) -> None:
    for faces in (0, 1, 6):
        images = frames.generate(faces, shared / "faces", 2)
        assert len(set(images)) == 2
        for data in images:
            pixels = decode(data, 10_000_000)
            assert pixels.shape == (1080, 1920, 3)
            # A photo may show somebody in the background too.
            assert faces <= len(engine.analyse_image(pixels)) <= 2 * faces


def test_faces_need_photos(tmp_path: Path) -> None:
    with pytest.raises(FaceServiceError, match="needs --photos"):
        frames.generate(1, None, 4)
    with pytest.raises(FaceServiceError, match=f"room for {frames.MOST_FACES} "):
        frames.generate(frames.MOST_FACES + 1, tmp_path, 4)
    with pytest.raises(FaceServiceError, match="0 images, 1 are needed"):
        frames.generate(1, tmp_path, 4)
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(FaceServiceError, match=r"a\.jpg: "):
        frames.generate(1, tmp_path, 1)
