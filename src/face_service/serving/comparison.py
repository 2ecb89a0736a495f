"""Comparing the faces of two images: the similarity of every pair, and one verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from face_service.engine_info import EngineInfo
from face_service.face_engine import Embedding, Face
from face_service.thresholds import measured_similarity
from face_service.vision.quality import Reason

Verdict = Literal["same_person", "different_people", "too_poor", "no_face", "no_threshold"]

MAX_PAIRS = 1000
"""Most pairs that are listed: two crowds of 500 faces have a quarter of a million."""

WORDS: Mapping[Reason, str] = MappingProxyType(
    {
        "too_small": "too small",
        "blurred": "blurred",
        "extreme_pose": "turned too far away",
        "too_dark": "too dark",
        "too_bright": "too bright",
        "cut_off": "cut off by the frame",
        "low_confidence": "hardly recognisable as a face",
        "interlaced": "combed, of two fields",
        "compressed": "compressed too far",
        "not_a_face": "perhaps no face at all",
    }
)
"""The reasons in words, for the sentence of `doubt`."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Face `a` of the first image and face `b` of the second, by their places.

    similarity: cosine, -1..1. same_person: whether it reaches the threshold, None where there
    is none. reliable: whether both faces are usable.
    """

    a: int
    b: int
    similarity: float
    same_person: bool | None
    reliable: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """pairs: the most similar ones, best first, at most MAX_PAIRS. detail: the verdict as a
    sentence."""

    pairs: list[Pair]
    verdict: Verdict
    detail: str

    @property
    def best(self) -> Pair | None:
        """The most similar pair; None where an image has no face with an embedding."""
        return self.pairs[0] if self.pairs else None


def compare(
    first: Sequence[Face], second: Sequence[Face], info: EngineInfo, names: tuple[str, str]
) -> Comparison:
    """Compare the faces of two images, embedded and assessed by the same engine, that of `info`.

    A face without an embedding is in no pair. `names` is what the sentence calls the images.

    The verdict is the first that applies: `no_face` where an image has none with an embedding,
    `no_threshold` where the pack's threshold was not measured, `same_person` where a reliable pair
    reaches it, `too_poor` where only unreliable pairs do or no pair is reliable, else
    `different_people`.
    """
    a, b = embedded(first), embedded(second)
    if not a or not b:
        where = " and ".join(name for name, faces in zip(names, (a, b), strict=True) if not faces)
        return Comparison([], "no_face", f"There is no face to compare in {where}")
    threshold = measured_similarity(info.threshold)
    # Rounding makes the cosine of a face with itself 1.0000001.
    cosines = np.clip(np.stack(list(a.values())) @ np.stack(list(b.values())).T, -1, 1)
    usable = np.outer([bool(first[i].usable) for i in a], [bool(second[j].usable) for j in b])
    rows, columns = list(a), list(b)

    def pair(place: np.intp) -> Pair:
        row, column = divmod(int(place), len(columns))
        similarity = float(cosines.flat[place])
        same_person = None if threshold is None else similarity >= threshold
        reliable = bool(usable.flat[place])
        return Pair(rows[row], columns[column], similarity, same_person, reliable)

    pairs = [pair(place) for place in np.argsort(-cosines, axis=None, kind="stable")[:MAX_PAIRS]]
    best = pairs[0]
    if threshold is None:
        return Comparison(pairs, "no_threshold", unmeasured(best, info))
    reliable = pair(np.where(usable, cosines, -np.inf).argmax()) if usable.any() else None
    if reliable is None or (best.same_person and not reliable.same_person):
        return Comparison(pairs, "too_poor", doubt(best, first, second, names))
    said = f"The highest similarity of two usable faces, {reliable.similarity:.3f},"
    if reliable.same_person:
        return Comparison(pairs, "same_person", f"{said} reaches {threshold:g}: the same person")
    return Comparison(pairs, "different_people", f"{said} is below {threshold:g}: different people")


def embedded(faces: Sequence[Face]) -> dict[int, Embedding]:
    """The embeddings, float32 [dimension], by the places of the faces that have one."""
    return {i: face.embedding for i, face in enumerate(faces) if face.embedding is not None}


def unmeasured(best: Pair, info: EngineInfo) -> str:
    """Why there is no verdict without a threshold."""
    guidance = info.threshold and info.threshold.similarity
    usual = "" if guidance is None else f" (usual guidance, which nobody measured: {guidance:g})"
    return (
        f"The highest similarity is {best.similarity:.3f}; from where on two faces are one "
        f"person's has not been measured for the pack {info.pack}{usual}"
    )


def doubt(pair: Pair, first: Sequence[Face], second: Sequence[Face], names: tuple[str, str]) -> str:
    """Why a pair cannot be relied on."""
    faults = [
        f"the face in {name} is {' and '.join(WORDS[reason] for reason in face.quality.reasons)}"
        for name, face in zip(names, (first[pair.a], second[pair.b]), strict=True)
        if face.quality and face.quality.reasons
    ]
    return f"The highest similarity, {pair.similarity:.3f}, is not reliable: {'; '.join(faults)}"
