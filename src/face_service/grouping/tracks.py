"""Tracks: the faces of consecutive frames that are one person's, by time, place and cosine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from .faces import Faces, Vectors

MIN_OVERLAP = 0.3
"""Intersection over union from which two boxes of consecutive frames are in one place; SORT's
`iou_threshold` (Bewley et al. 2016)."""
MAX_OPEN = 512
"""Tracks that a face may continue: those seen last. As many as a frame has faces at most."""


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
    """The tracks of one source that may go on: sums of their embeddings, boxes and times of the
    last of their faces."""

    def __init__(self, dimension: int) -> None:
        self.faces: list[list[int]] = []
        self.sums = np.empty((0, dimension), np.float32)
        self.boxes = np.empty((0, 4), np.float32)
        self.times = np.empty(0)

    def close_before(self, time: float) -> list[list[int]]:
        """Remove and return those last seen before `time`, and the oldest above MAX_OPEN."""
        keep = self.times >= time
        keep[: max(0, len(keep) - MAX_OPEN)] = False
        if keep.all():
            return []
        closed = [track for track, kept in zip(self.faces, keep, strict=True) if not kept]
        self._select(np.flatnonzero(keep))
        return closed

    def add(self, frame: list[int], joined: dict[int, int], time: float, faces: Faces) -> None:
        """Continue tracks with the faces of a frame, and begin one for each of the others.

        joined: the place of a face's track. The tracks seen last come last.
        """
        for face, track in joined.items():
            self.faces[track].append(face)
            self.sums[track] += faces.embeddings[face]
            self.boxes[track], self.times[track] = faces.boxes[face], time
        if joined:
            rest = [track for track in range(len(self.faces)) if track not in set(joined.values())]
            self._select(np.array([*rest, *joined.values()]))
        if new := [face for face in frame if face not in joined]:
            self.faces += [[face] for face in new]
            self.sums = np.concatenate([self.sums, faces.embeddings[new]])
            self.boxes = np.concatenate([self.boxes, faces.boxes[new]])
            self.times = np.concatenate([self.times, np.full(len(new), time)])

    def _select(self, places: NDArray[np.int64]) -> None:
        self.faces = [self.faces[place] for place in places]
        self.sums, self.boxes = self.sums[places], self.boxes[places]
        self.times = self.times[places]


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
    tracks = OpenTracks(faces.embeddings.shape[1])
    for time, of_frame in groupby(ordered, key=lambda face: float(faces.times[face])):
        checkpoint()
        frame = list(of_frame)
        yield from tracks.close_before(time - limits.max_gap)
        joined = match(faces, frame, tracks, limits) if tracks.faces else {}
        tracks.add(frame, joined, time, faces)
    yield from tracks.faces


def match(
    faces: Faces, frame: list[int], tracks: OpenTracks, limits: TrackLimits
) -> dict[int, int]:
    """The place of the track that each face of a frame continues, for those that do."""
    norms = np.linalg.norm(tracks.sums, axis=1)
    cosines = faces.embeddings[frame] @ tracks.sums.T / np.maximum(norms, 1e-6)
    overlaps = overlap(faces.boxes[frame], tracks.boxes)
    needed = np.where(overlaps >= MIN_OVERLAP, limits.similarity, limits.similarity_elsewhere)
    # A face in the same place is worth as much as one that is that much more similar.
    scores = np.where(cosines >= needed, cosines - needed, -np.inf)
    joined: dict[int, int] = {}
    taken: set[int] = set()
    for place in np.argsort(-scores, axis=None, kind="stable").tolist():
        row, track = divmod(place, len(tracks.faces))
        if scores[row, track] == -np.inf:
            break
        if frame[row] not in joined and track not in taken:
            joined[frame[row]] = track
            taken.add(track)
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
