"""Similarity transforms and the crops they cut."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from face_service.vision.alignment import (
    ARCFACE_TEMPLATE,
    TOO_LONG,
    align_face,
    averaged,
    crop,
    crop_of_long,
    similarity,
)
from face_service.vision.attributes import EYE_CENTERS, box_matrix, face_chip


@pytest.mark.parametrize(
    ("angle", "scale", "shift"), [(0, 1, (0, 0)), (30, 2.5, (400, -90)), (-170, 0.2, (3, 8))]
)
def test_a_known_similarity_is_found_again(
    angle: float, scale: float, shift: tuple[float, float]
) -> None:
    turn = np.deg2rad(angle)
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = (ARCFACE_TEMPLATE @ rotation.T + shift).astype(np.float32)

    matrix = similarity(points, ARCFACE_TEMPLATE)

    assert matrix is not None
    back = points @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(back - ARCFACE_TEMPLATE).max() < 1e-3


def test_a_similarity_never_mirrors() -> None:
    mirrored = ARCFACE_TEMPLATE * np.array([-1, 1], np.float32)
    matrix = similarity(mirrored, ARCFACE_TEMPLATE)
    assert matrix is not None
    assert np.linalg.det(matrix[:, :2]) > 0


@pytest.mark.parametrize(
    "landmarks",
    [np.full((5, 2), 7.0), np.full((5, 2), np.nan), np.array([[np.inf, 0]] * 5)],
    ids=["all in one point", "nan", "infinite"],
)
def test_degenerate_landmarks_have_no_crop(landmarks: np.ndarray) -> None:
    assert align_face(np.zeros((50, 50, 3), np.uint8), landmarks.astype(np.float32)) is None


def test_landmarks_on_a_line_still_have_a_crop() -> None:
    line = np.stack([np.arange(5), np.arange(5)], axis=1).astype(np.float32)
    crop = align_face(np.zeros((50, 50, 3), np.uint8), line)
    assert crop is not None
    assert crop.shape == (112, 112, 3)


def test_the_box_crop_is_centred_and_half_again_as_large() -> None:
    matrix = box_matrix(np.array([10, 20, 50, 100], np.float32), 96)
    centre = matrix @ np.array([30, 60, 1])
    assert centre == pytest.approx([48, 48])
    assert matrix[0, 0] == pytest.approx(96 / 120)


@pytest.mark.parametrize("scale", [0.5, 1.0, 6.0])
def test_eyes_lie_where_the_chip_wants_them(scale: float) -> None:
    eyes = np.array([[60, 80], [110, 90]]) * scale
    image = np.zeros((int(300 * scale), int(300 * scale), 3), np.uint8)
    for x, y in eyes.round().astype(int):
        radius = max(2, int(4 * scale))
        image[y - radius : y + radius + 1, x - radius : x + radius + 1] = 255
    landmarks = np.concatenate((eyes, np.zeros((3, 2)))).astype(np.float32)

    chip = face_chip(image, landmarks, 64).astype(float).mean(axis=2)

    for half, wanted in ((chip[:, :32], EYE_CENTERS[0]), (chip[:, 32:], EYE_CENTERS[1])):
        ys, xs = np.mgrid[: half.shape[0], : half.shape[1]]
        offset = 0 if wanted is EYE_CENTERS[0] or wanted[0] < 0.5 else 32
        found = np.array([(xs * half).sum(), (ys * half).sum()]) / half.sum() + [offset, 0]
        assert found == pytest.approx(wanted * 64, abs=1.0)


def test_coinciding_eyes_give_a_chip_not_a_crash() -> None:
    assert not face_chip(np.ones((9, 9, 3), np.uint8), np.zeros((5, 2), np.float32), 32).any()


SIDES = [(300, 400), (31, 500), (700, 20), (1, 1)]


@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_a_crop_from_a_part_is_the_crop_to_the_bit(sides: tuple[int, int]) -> None:
    """Inside, half outside and beside the picture, turned, mirrored, shrunk and grown."""
    chance = np.random.default_rng(sum(sides))
    image = chance.integers(0, 256, (*sides, 3), np.uint8)
    for n in range(1000):
        angle = chance.uniform(0, 2 * np.pi) if n % 4 else chance.integers(4) * np.pi / 2
        scale = 10 ** chance.uniform(-1.5, 1.2) if n % 5 else 1.0
        size = int(chance.choice((32, 64, 96, 112)))
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        turn[1] *= 1 if n % 7 else -1
        centre = chance.uniform(-0.3, 1.3, 2) * sides[::-1]
        matrix = np.column_stack([turn, size / 2 - turn @ centre])
        direct = cv2.warpAffine(image, matrix, (size, size), borderValue=0.0)
        assert np.array_equal(crop_of_long(image, matrix, size), direct), matrix


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("length", [TOO_LONG - 1, TOO_LONG, 33_000, 65_500])
def test_a_long_picture_has_the_crops_of_its_parts(axis: int, length: int) -> None:
    chance = np.random.default_rng(length)
    part = chance.integers(0, 256, (200, 200, 3), np.uint8)
    image = np.zeros((length, 200, 3) if axis == 0 else (200, length, 3), np.uint8)
    start = length - 200
    image[(slice(start, None),) if axis == 0 else (slice(None), slice(start, None))] = part
    offset = np.array([0, start] if axis == 0 else [start, 0])
    landmarks = (ARCFACE_TEMPLATE * 1.3 + 21).astype(np.float32)
    matrix = similarity(landmarks, ARCFACE_TEMPLATE)
    assert matrix is not None
    shifted = matrix.copy()
    shifted[:, 2] -= matrix[:, :2] @ offset
    assert np.array_equal(crop(image, shifted, 112), crop(part, matrix, 112))


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((2, 3)), np.full((2, 3), 1e-9), np.eye(2, 3) * 1e-9, np.eye(2, 3) * 1e30],
    ids=["zeros", "singular", "far", "near"],
)
def test_a_matrix_that_makes_no_sense_is_a_crop_too(matrix: np.ndarray) -> None:
    image = np.zeros((4, TOO_LONG + 9, 3), np.uint8)
    assert crop(image, matrix, 112).shape == (112, 112, 3)


def antialiased_crop(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """`crop` from the image as `averaged` makes it."""
    return crop(*averaged(image, matrix, size), size)


def test_a_crop_with_less_than_two_pixels_for_one_is_the_same_bit_by_bit() -> None:
    image = np.random.default_rng(0).integers(0, 255, (250, 250, 3), np.uint8)
    for scale in (0.3, 1, 1.9):
        matrix = similarity((ARCFACE_TEMPLATE * scale + 20).astype(np.float32), ARCFACE_TEMPLATE)
        assert np.array_equal(antialiased_crop(image, matrix, 112), crop(image, matrix, 112))


@pytest.mark.parametrize("factor", [2.2, 4.4, 7])
@pytest.mark.parametrize("turn", [0.0, 0.5])
def test_averaging_first_keeps_the_place_and_drops_the_noise(factor: int, turn: float) -> None:
    """Of a smooth picture both crops are alike; of noise, a pixel of the one is the mean of all
    that it covers, halved until there are fewer than two."""
    side = int(150 * factor)
    y, x = np.mgrid[:side, :side] / factor
    smooth = np.stack([80 + 0.8 * x, 120 + 50 * np.sin(y / 3), 120 + 50 * np.sin(x / 3)], -1)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = ((ARCFACE_TEMPLATE - 56) @ rotation.T * factor + side / 2).astype(np.float32)
    matrix = similarity(points, ARCFACE_TEMPLATE)
    clean = smooth.astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 30, clean.shape)
    noisy = np.clip(smooth + noise, 0, 255).astype(np.uint8)
    middle = np.s_[20:92, 20:92]
    plain, smoothed = (cut(clean, matrix, 112)[middle] for cut in (crop, antialiased_crop))
    assert np.abs(plain.astype(int) - smoothed).max() <= 4
    plain, smoothed = (
        np.std(cut(noisy, matrix, 112)[middle] - cut(clean, matrix, 112)[middle].astype(float))
        for cut in (crop, antialiased_crop)
    )
    assert smoothed < 1.2 * plain / 2 ** int(np.log2(factor))


def test_a_face_at_an_edge_has_black_around_it_whatever_the_alignment() -> None:
    white = np.full((901, 703, 3), 255, np.uint8)
    points = (ARCFACE_TEMPLATE * 8 - 300).astype(np.float32)
    matrix = similarity(points, ARCFACE_TEMPLATE)
    plain, smoothed = crop(white, matrix, 112), antialiased_crop(white, matrix, 112)
    assert (plain == 0).any()
    assert np.mean(np.abs(plain.astype(int) - smoothed) > 40) < 0.02
    far = similarity((ARCFACE_TEMPLATE * 8 + 5000).astype(np.float32), ARCFACE_TEMPLATE)
    assert not antialiased_crop(white, far, 112).any()
