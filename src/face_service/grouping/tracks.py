"""Tracks: the faces of consecutive frames that are one person's, by time, place and cosine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, takewhile

import numpy as np
from numpy.typing import NDArray

from .faces import Faces, Vectors

MIN_OVERLAP = 0.3
"""Intersection over union from which two boxes of consecutive frames are in one place; SORT's
`iou_threshold` (Bewley et al. 2016)."""
MAX_OPEN = 512
"""Most tracks of a source that a face may continue: those seen last. As many as the default of
MAX_FACES, the most faces of an image."""

FEWEST = 2
"""Fewest faces on each side of a cut in a track: one alone may be a turned head, or blurred."""


@dataclass(frozen=True, slots=True)
class TrackLimits:
    """What joins a face to a track.

    similarity: least cosine where the boxes overlap. similarity_elsewhere: where they do not, or
    are unknown. max_gap: most seconds since the track was last seen.
    """

    similarity: float
    similarity_elsewhere: float
    max_gap: float


class OpenTracks:
    """The tracks of one source that may go on, at most MAX_OPEN, each in one of `size` slots."""

    def __init__(self, dimension: int, size: int) -> None:
        self.faces: dict[int, list[int]] = {}
        """Of each track, by slot; the tracks seen last come last."""
        self.sums = np.zeros((size, dimension), np.float32)
        """Of the embeddings of a track's faces."""
        self.norms = np.ones(size, np.float32)
        """Of the rows of `sums`."""
        self.boxes = np.zeros((size, 4), np.float32)
        """Of a track's last face."""
        self.turns = np.full(size, -1)
        """Ascending with when a track was seen last; -1 where a slot is free."""
        self._times = [0.0] * size
        self._free = list(range(size))[::-1]
        self._turn = 0

    def close_before(self, time: float) -> list[list[int]]:
        """Remove and return the tracks last seen before `time`, in seconds."""
        old = list(takewhile(lambda slot: self._times[slot] < time, self.faces))
        return [self._close(slot) for slot in old]

    def add(
        self, frame: list[int], joined: dict[int, int], time: float, faces: Faces
    ) -> list[list[int]]:
        """Continue tracks with the faces of a frame, and begin one for each of the others.

        joined: by face, the slot of its track. time: of the frame, in seconds. Returns the tracks
        that are too many for MAX_OPEN: they do not go on.
        """
        for face, slot in joined.items():
            self._continue(slot, self.faces.pop(slot), face, time, faces)
        new = [face for face in frame if face not in joined]
        closed = [[face] for face in new[:-MAX_OPEN]]
        for face in new[-MAX_OPEN:]:
            if len(self.faces) == MAX_OPEN:
                closed.append(self._close(next(iter(self.faces))))
            self._continue(self._free.pop(), [], face, time, faces)
        return closed

    def _continue(self, slot: int, track: list[int], face: int, time: float, faces: Faces) -> None:
        track.append(face)
        self.faces[slot] = track
        self.sums[slot] += faces.embeddings[face]
        self.norms[slot] = max(float(np.linalg.norm(self.sums[slot])), 1e-6)
        self.boxes[slot], self._times[slot] = faces.boxes[face], time
        self.turns[slot] = self._turn
        self._turn += 1

    def _close(self, slot: int) -> list[int]:
        self.sums[slot], self.turns[slot] = 0, -1
        self._free.append(slot)
        return self.faces.pop(slot)


def find_tracks(
    faces: Faces, limits: TrackLimits, checkpoint: Callable[[], object] = lambda: None
) -> list[list[int]]:
    """The faces of each track, by time; the tracks by their first faces in the caller's order.

    Two faces of one source and time are never in one track. In each frame the most similar pairs of
    a face and a track are joined first. A face whose time is unknown is a track of its own.
    checkpoint: called for every frame; what it raises ends the work.
    """
    untimed = np.isnan(faces.times)
    tracks = [[face] for face in np.flatnonzero(untimed).tolist()]
    timed = np.flatnonzero(~untimed)
    order = timed[np.lexsort((timed, faces.times[timed], faces.sources[timed]))].tolist()
    for _, of_source in groupby(order, key=lambda face: int(faces.sources[face])):
        tracks += follow(faces, list(of_source), limits, checkpoint)
    return sorted(tracks, key=min)


def follow(
    faces: Faces, ordered: list[int], limits: TrackLimits, checkpoint: Callable[[], object]
) -> Iterator[list[int]]:
    """The tracks among the faces of one source, which are `ordered` by time."""
    tracks = OpenTracks(faces.embeddings.shape[1], min(len(ordered), MAX_OPEN))
    for time, of_frame in groupby(ordered, key=lambda face: float(faces.times[face])):
        checkpoint()
        frame = list(of_frame)
        yield from tracks.close_before(time - limits.max_gap)
        joined = match(faces, frame, tracks, limits) if tracks.faces else {}
        yield from tracks.add(frame, joined, time, faces)
    yield from tracks.faces.values()


def split(
    faces: Faces,
    track: list[int],
    limits: TrackLimits,
    checkpoint: Callable[[], object] = lambda: None,
) -> Iterator[list[int]]:
    """Cut a track where somebody has taken another person's place. Yields its parts, by time.

    There the cosine of two consecutive faces is below `similarity_elsewhere`, and so is that of the
    means of all faces before and after. A track of a head that turns step by step is not cut.
    checkpoint: called for every part that is looked at; what it raises ends the work.
    """
    left = [track]
    while left:
        checkpoint()
        part = left.pop()
        cosines = across(faces.embeddings[part], limits.similarity_elsewhere)
        if cosines.size and cosines.min() < limits.similarity_elsewhere:
            before = FEWEST + int(cosines.argmin())
            left += [part[before:], part[:before]]
        else:
            yield part


def across(vectors: Vectors, least: float) -> Vectors:
    """The cosine of the means before and after every place between `vectors` (float32
    [n, dimension], norm 1) with FEWEST on both sides: float32, one for each place; inf where the
    cosine of the two vectors beside it reaches `least`."""
    inner = slice(FEWEST - 1, max(FEWEST - 1, len(vectors) - FEWEST))
    steps = (vectors[:-1] * vectors[1:]).sum(axis=1)[inner]
    cosines = np.full(len(steps), np.inf, np.float32)
    if steps.size and steps.min() < least:
        before = vectors.cumsum(axis=0)[inner]
        after = vectors.sum(axis=0) - before
        norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
        means = (before * after).sum(axis=1) / np.maximum(norms, 1e-6)
        np.copyto(cosines, means, where=steps < least)
    return cosines


def match(
    faces: Faces, frame: list[int], tracks: OpenTracks, limits: TrackLimits
) -> dict[int, int]:
    """The slot of the track that each face of a frame continues, for those that do."""
    cosines = faces.embeddings[frame] @ tracks.sums.T / tracks.norms
    cosines[:, tracks.turns < 0] = -np.inf
    least = min(limits.similarity, limits.similarity_elsewhere)
    near = np.flatnonzero(cosines.max(axis=0) >= least)
    if not near.size:
        return {}
    near = near[np.argsort(tracks.turns[near])]
    cosines = cosines[:, near]
    overlaps = overlap(faces.boxes[frame], tracks.boxes[near])
    needed = np.where(overlaps >= MIN_OVERLAP, limits.similarity, limits.similarity_elsewhere)
    # By how much each cosine exceeds the least that is needed in its place.
    scores = (cosines - needed).ravel()
    pairs = np.flatnonzero(scores >= 0)
    rows, columns = np.divmod(pairs[np.argsort(-scores[pairs], kind="stable")], len(near))
    joined: dict[int, int] = {}
    free_faces, free_tracks = [True] * len(frame), [True] * len(near)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if free_faces[row] and free_tracks[column]:
            joined[frame[row]] = int(near[column])
            free_faces[row] = free_tracks[column] = False
    return joined


def overlap(some: NDArray[np.float32], others: NDArray[np.float32]) -> Vectors:
    """Intersection over union of boxes [n, 4] and [m, 4]: float32 [n, m], 0 where unknown."""
    a, b = some[:, None], others[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = sides.clip(0).prod(axis=2)
    areas = [(box[..., 2:] - box[..., :2]).clip(0).prod(axis=2) for box in (a, b)]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: NDArray[np.float32] = shared / (sum(areas) - shared)
    return np.nan_to_num(ratio)
