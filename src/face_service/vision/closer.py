"""Further looks at a picture, after the first at all of it: close-ups, tiles, and all of it
turned."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

from .blob import Image
from .detections import NO_DETECTIONS, Detections, Floats, merge, suppress
from .detector import MAX_CANDIDATES, Detector, DetectorInput, DetectorPreprocessor
from .looks import Detail, Tile, around, in_picture, smallest_face, tiles
from .parts import SURE, without_cut_parts
from .turning import ANGLES, Rotations, quarters, turned_back

Timed = Callable[[], AbstractContextManager[None]]
"""Returns a context manager that measures the time of its block."""

LEAST_COMPARED = 0.1
"""Least score, 0..1, of a face where the picture is turned to find the angle at which it scores
best: the wrong way up it may have less than the `min_score` of the request."""


class Closeness(NamedTuple):
    """How closely a picture is to be looked at. side: of the square canvas, in pixels."""

    side: int
    detail: Detail
    rotations: Rotations


class Coverage(NamedTuple):
    """How closely an image was looked at.

    det_size: side of the canvas, in pixels. tiles: how many at each angle, 0 where the picture was
    looked at as a whole alone. angles: degrees clockwise by which it was turned, 0 among them.
    smallest_face: shorter side, in pixels of the image, of the smallest face that may have been
    found.
    """

    det_size: int
    detail: Detail
    tiles: int
    rotations: Rotations
    angles: tuple[int, ...]
    smallest_face: float


class Look(NamedTuple):
    """A tile, None for the whole picture; the degrees clockwise by which it is turned; whether it
    is shown small, for faces that fill it."""

    tile: Tile | None = None
    angle: int = 0
    small: bool = False


def most_runs(width: int, height: int, closeness: Closeness, passes: int) -> int:
    """Runs of the detector that `FurtherLooks.run` makes at most, close-ups not counted. passes:
    runs for a picture as a whole."""
    shown = len(tiles(width, height, closeness.side, closeness.detail))
    turned = 0 if closeness.rotations == "none" else len(ANGLES)
    return shown + turned * (passes + shown)


@dataclass(frozen=True, slots=True)
class FurtherLooks:
    """Looks at one image again, after the first look at it as a whole.

    preprocessor: of the detector's inputs. closeup: the detector that is shown the whole picture
    small; None where the first look did that already. usable: returns the box of the surest face
    that is fit to be stored, float32 [4], None where there is none. timed: measures each run.
    together: looks that are preprocessed and run together, at most.
    """

    detector: Detector
    preprocessor: DetectorPreprocessor
    closeup: Detector | None
    image: Image
    min_score: float
    usable: Callable[[Detections], Floats | None]
    timed: Timed
    together: int = 1

    def run(
        self, found: Detections, closeness: Closeness
    ) -> Generator[None, None, tuple[Detections, Coverage]]:
        """What was `found` in the image as a whole, and what further looks show beside it, under
        one non-maximum suppression. Pauses before each run. Raises what
        `Detector.candidates_together` raises.

        Where a face of score SURE or more was found, there is no close-up: it would cost a run, and
        find nothing in almost every picture.
        """
        height, width = self.image.shape[:2]
        parts = tiles(width, height, closeness.side, closeness.detail)
        unsure = self.closeup is not None and not (found.scores >= SURE).any()
        first = [Look(small=True)] if unsure else []
        found = yield from self._look(found, [*first, *(Look(tile) for tile in parts)])
        angles = yield from self._angles(found, closeness.rotations)
        if angles:
            small = [Look(angle=angle, small=True) for angle in angles if unsure]
            again = [Look(part, angle) for angle in angles for part in (None, *parts)]
            found = yield from self._look(found, [*small, *again])
        longest = max((max(tile.width, tile.height) for tile in parts), default=max(width, height))
        return found, Coverage(
            closeness.side,
            closeness.detail,
            len(parts),
            closeness.rotations,
            (0, *angles),
            smallest_face(closeness.side / longest),
        )

    def near(self, boxes: Sequence[Floats]) -> Generator[None, None, Detections]:
        """The faces that looks at the surroundings of given boxes (float32 [4]) show, one look for
        each box. Pauses before each run. Raises what `Detector.candidates_together` raises."""
        height, width = self.image.shape[:2]
        parts = [Look(around(box, width, height)) for box in boxes]
        found = yield from self._look(NO_DETECTIONS, parts)
        return found

    def _angles(
        self, found: Detections, rotations: Rotations
    ) -> Generator[None, None, tuple[int, ...]]:
        """Degrees clockwise by which the image is turned for looks beside those as it is. For
        `auto` all of ANGLES where no face of `found` is usable; else the one at which the detector
        is surest of the usable face, none where that is 0."""
        if rotations != "auto":
            return ANGLES if rotations == "all" else ()
        box = self.usable(found)
        if box is None:
            return ANGLES
        angle = yield from self._surest_angle(box)
        return (angle,) if angle else ()

    def _surest_angle(self, box: Floats) -> Generator[None, None, int]:
        """Degrees clockwise by which the image is to be turned so that the detector is surest of
        the face in `box`, seen small with its surroundings: a detector may find a face upside down,
        and put its eyes where the mouth is."""
        height, width = self.image.shape[:2]
        part = around(box, width, height).of(self.image)
        detector, preprocessor = self.detector, self.preprocessor
        if self.closeup:
            detector, preprocessor = self.closeup, self.closeup.preprocessor
        shown = [
            (angle, each)
            for angle in (0, *ANGLES)
            for each in preprocessor.preprocess(part, quarters(angle))[:1]
        ]
        surest, most = 0, 0.0
        for numbers in detector.runs([each for _, each in shown]):
            yield
            with self.timed():
                candidates = detector.candidates_together(
                    [shown[number][1] for number in numbers], [LEAST_COMPARED] * len(numbers)
                )
            for number, each in zip(numbers, candidates, strict=True):
                score = float(each.scores.max(initial=0))
                if score > most:
                    surest, most = shown[number][0], score
        return surest

    def _look(self, found: Detections, looks: Sequence[Look]) -> Generator[None, None, Detections]:
        seen: list[tuple[Look, Detections]] = []
        for start in range(0, len(looks), self.together):
            yield
            with self.timed():
                runs = list(self._runs(looks[start : start + self.together]))
            for number, (detector, shown) in enumerate(runs):
                if number:
                    yield
                with self.timed():
                    candidates = detector.candidates_together(
                        [each for _, each in shown], [self.min_score] * len(shown)
                    )
                    placed = map(self._placed, shown, candidates)
                    seen += zip((look for look, _ in shown), placed, strict=True)
        if not seen:
            return found
        together = merge([found, *(each for _, each in seen)])
        whole = [self._without_cut_parts(look, each, together) for look, each in seen]
        return suppress(merge([found, *whole]).take(slice(MAX_CANDIDATES)))

    def _without_cut_parts(self, look: Look, found: Detections, others: Detections) -> Detections:
        height, width = self.image.shape[:2]
        return without_cut_parts(found, look.tile, others, width, height) if look.tile else found

    def _runs(
        self, looks: Sequence[Look]
    ) -> Iterator[tuple[Detector, list[tuple[Look, DetectorInput]]]]:
        """The runs that some looks take: the detector, and its inputs, each with its look."""
        for small in (True, False):
            inputs = [
                (look, each) for look in looks if look.small == small for each in self._inputs(look)
            ]
            detector = self.closeup if small and self.closeup else self.detector
            for numbers in detector.runs([each for _, each in inputs]):
                yield detector, [inputs[number] for number in numbers]

    def _inputs(self, look: Look) -> list[DetectorInput]:
        turns = quarters(look.angle)
        if look.tile:
            return self.preprocessor.preprocess_tile(look.tile.of(self.image), turns)
        small = self.closeup if look.small else None
        preprocessor = small.preprocessor if small else self.preprocessor
        return preprocessor.preprocess(self.image, turns)

    def _placed(self, shown: tuple[Look, DetectorInput], candidates: Detections) -> Detections:
        look, made = shown
        height, width = self.image.shape[:2]
        tile = look.tile or Tile(0, 0, width, height)
        found = turned_back(suppress(candidates), look.angle, tile.width, tile.height)
        return in_picture(found, tile, width, height, made.scale)
