"""What spoils a face is seen in its own signal, and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from face_service.config import Settings
from face_service.engine_factory import load_engine, quality_limits, runtime_config
from face_service.face_engine import Face, FaceEngine
from face_service.packs.pack import Pack
from face_service.vision.blob import Image
from face_service.vision.detections import DetectedFace
from face_service.vision.pose import Pose
from face_service.vision.quality import (
    QualityLimits,
    assess,
    at_least,
    at_most,
    sharpness,
    visible_part,
)
from tests.vision.judging import LOOK


def test_a_clear_face_is_usable(face: Face) -> None:
    assert face.usable is True
    assert face.quality
    assert face.quality.reasons == ()
    assert face.quality.score >= 0.5
    assert face.quality.visible == 1
    assert face.quality.size == pytest.approx(78, abs=1)


def test_a_blurred_face_is_blurred(portrait: Image, reasons_of: Callable) -> None:
    assert reasons_of(portrait) == ()
    assert reasons_of(cv2.GaussianBlur(portrait, (0, 0), 4)) == ("blurred",)


@pytest.mark.parametrize("across", [True, False])
def test_a_shaken_camera_blurs_in_one_direction(
    portrait: Image, reasons_of: Callable, across: bool
) -> None:
    kernel = (13, 1) if across else (1, 13)
    assert "blurred" in reasons_of(cv2.blur(portrait, kernel))


@pytest.mark.parametrize(("gain", "reason"), [(0.08, "too_dark"), (1.9, "too_bright")])
def test_light(portrait: Image, reasons_of: Callable, gain: float, reason: str) -> None:
    lit = np.clip(portrait * gain, 0, 255).astype(np.uint8)
    assert reason in reasons_of(lit)
    assert not {"blurred", "cut_off"} & set(reasons_of(lit))


def test_a_face_in_the_shade_is_as_sharp(portrait: Image, face: Face, engine: FaceEngine) -> None:
    shade = engine.analyse_image((portrait * 0.4).astype(np.uint8), LOOK)[0]
    assert face.quality
    assert shade.quality
    assert shade.quality.sharpness == pytest.approx(face.quality.sharpness, rel=0.1)
    assert shade.quality.brightness == pytest.approx(0.4 * face.quality.brightness, rel=0.05)


def test_a_small_face_is_too_small(group: Image, engine: FaceEngine) -> None:
    image = np.zeros((640, 640, 3), np.uint8)
    few = cv2.resize(group[600:1200, 1900:2700], (160, 120), interpolation=cv2.INTER_AREA)
    image[200:320, 200:360] = few
    found = engine.analyse_image(image, LOOK)
    assert found
    for small in found:
        assert small.quality
        assert small.quality.size < 22
        assert "too_small" in small.quality.reasons


def test_a_face_cut_off_by_the_frame(portrait: Image, face: Face, engine: FaceEngine) -> None:
    width = int(face.bbox[2]) - int(face.bbox[0])
    part = np.ascontiguousarray(portrait[:, 2 * width + int(0.45 * width) :])
    cut = min(engine.analyse_image(part, LOOK), key=lambda one: one.bbox[0])
    assert cut.quality
    assert cut.quality.visible < 0.65
    assert "cut_off" in cut.quality.reasons


def test_a_face_that_is_hardly_one(engine: FaceEngine, group: Image) -> None:
    found = engine.analyse_image(group, replace(LOOK, min_score=0.1))
    doubtful = [one for one in found if one.score < 0.7]
    assert doubtful
    assert all("low_confidence" in one.quality.reasons for one in doubtful if one.quality)


def test_usable_is_a_score_of_a_half_or_more(engine: FaceEngine, group: Image) -> None:
    found = engine.analyse_image(group, replace(LOOK, min_score=0.1))
    assert {one.usable for one in found} == {True, False}
    for one in found:
        assert one.quality
        assert one.usable == (one.quality.score >= 0.5)
        assert 0 <= one.quality.score <= 1


def test_a_pose_over_the_limit_is_extreme_and_said_once(face: Face, group: Image) -> None:
    from face_service.vision import quality

    assert face.quality
    crop = np.zeros((112, 112, 3), np.uint8)
    limits = QualityLimits(min_sharpness=0, min_brightness=0)

    def judged(pose: Pose) -> tuple[str, ...]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(quality, "head_pose", lambda _: pose)
            detected = DetectedFace(group, face.bbox, 0.9, face.landmarks)
            found = assess(crop, detected, limits)
        return found.reasons

    assert judged(Pose(40, -35, -55)) == ()
    assert judged(Pose(-40.1, 0, 0)) == ("extreme_pose",)
    assert judged(Pose(0, -35.1, 0)) == ("extreme_pose",)
    assert judged(Pose(0, 0, -55.1)) == ("extreme_pose",)
    assert judged(Pose(60, 60, 90)) == ("extreme_pose",)


def test_without_a_crop_or_without_asking_there_is_no_quality(
    engine: FaceEngine, group: Image
) -> None:
    unasked = engine.analyse_image(group, replace(LOOK, quality=False, max_faces=1))[0]
    assert (unasked.quality, unasked.usable) == (None, None)
    assert replace(unasked, error="landmarks are degenerate").usable is False


def test_the_settings_are_the_limits(starter: Pack, group: Image) -> None:
    settings = Settings(
        _env_file=None,
        insightface_model="starter",
        model_cache_dir=starter.directory.parent,
        quality_min_size=77.0,
        quality_max_yaw=1.0,
    )
    assert quality_limits(settings) == QualityLimits(min_size=77, max_yaw=1)
    found = load_engine(settings, runtime_config(settings)).analyse_image(group, LOOK)
    for one in found:
        assert one.quality
        assert ("too_small" in one.quality.reasons) == (one.quality.size < 77)
        assert ("extreme_pose" in one.quality.reasons) >= (abs(one.quality.pose.yaw) > 1)
    assert any(one.quality.size > 77 for one in found if one.quality)
    assert quality_limits(Settings(_env_file=None)) == QualityLimits()


def test_flat_and_black_crops_have_no_detail() -> None:
    for value in (0, 128, 255):
        assert sharpness(np.full((112, 112), value, np.uint8)) == 0
    noise = np.random.default_rng(0).integers(0, 3, (112, 112)).astype(np.uint8)
    assert sharpness(noise) < 10, "the rounding of a black crop is no detail"


def test_a_box_and_its_part_in_the_image() -> None:
    def box(*corners: float) -> np.ndarray:
        return np.array(corners, np.float32)

    assert visible_part(box(10, 10, 30, 50), (100, 100, 3)) == (20, 1)
    assert visible_part(box(-10, 10, 10, 50), (100, 100, 3)) == (10, 0.5)
    assert visible_part(box(90, 80, 110, 120), (100, 100, 3)) == (10, 0.25)
    assert visible_part(box(-30, 0, -10, 20), (100, 100, 3)) == (0, 0)
    assert visible_part(box(10, 10, 10, 50), (100, 100, 3)) == (0, 0)


def test_merits_are_a_half_at_the_limit() -> None:
    limits = (0.1, 0.3, 0.65, 1, 22)
    assert [at_least(limit, limit) for limit in limits] == [0.5] * 5
    assert [at_most(limit, limit) for limit in limits] == [0.5] * 5
    assert (at_least(0, 22), at_least(44, 22), at_least(99, 22)) == (0, 1, 1)
    assert (at_most(0, 45), at_most(90, 45), at_most(120, 45)) == (1, 0, 0)
    assert (at_least(0, 0), at_most(0, 0), at_most(0.1, 0)) == (1, 1, 0)
