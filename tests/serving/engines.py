"""Engines for tests of scheduling: no networks, an exact log of what was run when."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from face_service.face_engine import Face, Options, PreparedImage
from face_service.observability.timing import StageTimes
from face_service.serving.queue import QueueEntry
from face_service.vision.canvas import Size
from face_service.vision.detections import DetectedFace
from face_service.vision.detector import DetectorPreprocessor
from face_service.vision.filtering import Found

POISON = 123
BOX = np.zeros(4, np.float32)
LANDMARKS = np.zeros((5, 2), np.float32)


def prepared(name: object, options: Options | None = None) -> PreparedImage:
    """An image that is nothing but its name."""
    return PreparedImage(name, [], options or Options())


def entry(*names: object, **fields: Any) -> QueueEntry:
    """An entry of images that are nothing but their names."""
    return QueueEntry([prepared(name) for name in names], **fields)


class FakeEngine:
    """An image is its name, or its width if it has pixels. It shows `faces_in` faces, whose age is
    the name of the image. What holds POISON fails. `runs` has every run: its kind, and the name of
    each image or face in it; a run waits for `gate`.
    """

    info = SimpleNamespace(
        pack="fake",
        recogniser_sha256="0",
        precision="fp32",
        providers=("FakeProvider",),
        fallback=None,
        threads=4,
    )
    preprocessor = DetectorPreprocessor((Size(32, 32),))
    max_batch_images = 1
    maps_weights = True
    images_per_run = 1
    piece = 8

    def __init__(self, faces_in: Callable[[Any], int] = lambda _: 0) -> None:
        self.faces_in = faces_in
        self.runs: list[tuple[str, list[Any]]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.after_run: Callable[[], object] = lambda: None
        self.inside = self.most_inside = 0
        self.threads: list[int] = []
        self.released = 0

    def limit_threads(self, most: int) -> None:
        self.threads.append(most)

    @property
    def detected(self) -> list[Any]:
        """The images that were looked at, in order."""
        return [name for kind, names in self.runs if kind == "detect" for name in names]

    def last_progress(self) -> float:
        return 0.0

    def release(self) -> None:
        self.released += 1

    def self_test(self) -> None:
        pass

    def runs_per_piece(self, options: Options) -> int:
        return 2

    def detect(self, image: PreparedImage, times: StageTimes) -> Generator[None, None, Found]:
        name = name_of(image.image)
        with times.measure("detect"):
            self.run("detect", [name])
        faces = [DetectedFace(name, BOX, 0.9, LANDMARKS)] * self.faces_in(name)
        return Found(faces, 0)
        yield

    def detect_together(
        self, images: Sequence[PreparedImage], times: StageTimes
    ) -> Generator[None, None, list[Found]]:
        names = [name_of(image.image) for image in images]
        for start in range(0, len(names), self.images_per_run):
            if start:
                yield
            with times.measure("detect"):
                self.run("detect", names[start : start + self.images_per_run])
        return [
            Found([DetectedFace(name, BOX, 0.9, LANDMARKS)] * self.faces_in(name), 0)
            for name in names
        ]

    def describe(
        self, faces: Sequence[DetectedFace], options: Options, times: StageTimes
    ) -> Generator[None, None, list[Face]]:
        with times.measure("embed"):
            self.run("embed", [face.image for face in faces])
        yield
        with times.measure("attributes"):
            self.run("attributes", [face.image for face in faces])
        return [Face(BOX, 0.9, LANDMARKS, None, face.image, "F") for face in faces]

    def run(self, kind: str, names: list[Any]) -> None:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.entered.set()
        assert self.gate.wait(30)
        self.runs.append((kind, names))
        self.after_run()
        self.inside -= 1
        if POISON in names:
            raise RuntimeError("cannot be computed")


def name_of(image: object) -> object:
    return image.shape[1] if isinstance(image, np.ndarray) else image


class Unsound(FakeEngine):
    """Fails on an image that is known to be good as well."""

    def self_test(self) -> None:
        raise RuntimeError("the network cannot take that either")
